import Reference
import Testing

@Suite struct TensorTests {
    @Test func subscriptIsRowMajor() {
        var x = Tensor(shape: [2, 3], values: [0, 1, 2, 3, 4, 5])
        #expect(x[1, 0] == 3)
        x[0, 2] = 9
        #expect(x.values == [0, 1, 9, 3, 4, 5])
        #expect(x.reshaped([3, 2])[1, 0] == 9)
    }

    @Test func randomIsDeterministicAndExactInFloat32() {
        let x = Tensor.random(shape: [1000], seed: 3, scale: 0.3)
        #expect(x == Tensor.random(shape: [1000], seed: 3, scale: 0.3))
        #expect(x != Tensor.random(shape: [1000], seed: 4, scale: 0.3))
        #expect(Tensor(shape: [1000], floats: x.floats) == x)
        #expect(x.maximumMagnitude <= 0.3 && x.maximumMagnitude > 0.29)
        #expect(abs(x.values.reduce(0, +)) < 20)
    }

    @Test func uniformsStayInsideTheOpenInterval() {
        let u = Tensor.randomUniforms(shape: [1000], seed: 3)
        #expect(u.values.allSatisfy { $0 > 0 && $0 < 1 && Double(Float($0)) == $0 })
        #expect(Reference.uniform(bits: .max) == 1 - 0.5 / 8_388_608)
        #expect(Float(Reference.uniform(bits: .max)) < 1)
        #expect(Reference.uniform(bits: 0) == 0.5 / 8_388_608)
    }
}
