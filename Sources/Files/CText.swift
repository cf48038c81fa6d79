/// The text in an array of characters that C has filled, up to its null.
func line(ofCharacters characters: some BitwiseCopyable) -> String {
    withUnsafeBytes(of: characters) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
}
