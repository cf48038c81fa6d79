extension Reference {
    /// The Philox 4×32 counter-based generator: four random words from a counter and a key.
    ///
    /// - Parameter counter: four words.
    /// - Parameter key: two words.
    /// - Parameter rounds: 10 in the published standard form.
    /// - Source: Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3".
    public static func philox4x32(counter: [UInt32], key: [UInt32], rounds: Int = 10) -> [UInt32] {
        precondition(counter.count == 4 && key.count == 2, "expected four counter words and two key words")
        var (words, key) = (counter, key)
        for round in 0..<rounds {
            if round > 0 {
                key[0] &+= 0x9E37_79B9
                key[1] &+= 0xBB67_AE85
            }
            let even = words[0].multipliedFullWidth(by: 0xD251_1F53)
            let odd = words[2].multipliedFullWidth(by: 0xCD9E_8D57)
            words = [odd.high ^ words[1] ^ key[0], odd.low, even.high ^ words[3] ^ key[1], even.low]
        }
        return words
    }

    /// A uniform number in (0, 1) from the top 23 bits of a word, (k + ½)·2⁻²³; exact in float32.
    public static func uniform(bits: UInt32) -> Double {
        (Double(bits >> 9) + 0.5) / Double(1 << 23)
    }
}
