import AdaShareSupport
import Testing

extension GraphTests {
    @Suite struct HashIndexTests {
        /// Ten hashes for a thousand numbers, in a table that starts far too small: every number is found again.
        @Test func findsElementsWhoseHashesMeet() {
            let numbers = Array(0..<1000)
            func hash(_ number: Int) -> Int { HashIndex.hash(number % 10, 7) }
            var index = HashIndex(capacity: 1)
            for number in numbers {
                #expect(index.position(hash: hash(number)) { numbers[$0] == number } == nil)
                index.append(hash: hash(number))
            }
            #expect(numbers.allSatisfy { number in index.position(hash: hash(number)) { $0 == number } == number })
            #expect(index.position(hash: hash(3)) { $0 % 10 == 3 } == 3, "the first of equal ones")
            #expect(index.position(hash: HashIndex.hash(10, 7)) { _ in true } == nil)
            // Those behind one that is removed move up.
            index.remove(at: 500)
            let left = numbers.filter { $0 != 500 }
            #expect(left.indices.allSatisfy { at in index.position(hash: hash(left[at])) { $0 == at } == at })
            #expect(index.position(hash: hash(500)) { $0 == 999 } == nil)
            index.removeAll()
            #expect(index.position(hash: hash(3)) { _ in true } == nil)
        }
    }
}
