// Elementwise passes over padded tensors.
//
//   relu_backward     dx = dy where y > 0, else 0
//   sum2, sum3, sum4  y = a + b (+ c (+ d)), added from left to right
//   scale             y = factor * x
//   fill              y = value on the logical channels, 0 on pads
//
// Layout: FOR_RANGE over vectors of W floats; `n` counts vectors. Outputs may alias any input.

__kernel void relu_backward(__global const activation *y, __global const activation *dy, __global activation *dx,
                            int n) {
    FOR_RANGE(i, n) {
        const floatW g = ALOAD(i, dy);
        ASTORE(select((floatW)(0.0f), g, ALOAD(i, y) > 0.0f), i, dx);
    }
}

__kernel void sum2(__global const activation *a, __global const activation *b, __global activation *y, int n) {
    FOR_RANGE(i, n) { ASTORE(ALOAD(i, a) + ALOAD(i, b), i, y); }
}

__kernel void sum3(__global const activation *a, __global const activation *b, __global const activation *c,
                   __global activation *y, int n) {
    FOR_RANGE(i, n) { ASTORE(ALOAD(i, a) + ALOAD(i, b) + ALOAD(i, c), i, y); }
}

__kernel void sum4(__global const activation *a, __global const activation *b, __global const activation *c,
                   __global const activation *d, __global activation *y, int n) {
    FOR_RANGE(i, n) { ASTORE(ALOAD(i, a) + ALOAD(i, b) + ALOAD(i, c) + ALOAD(i, d), i, y); }
}

__kernel void scale(__global const activation *x, __global activation *y, float factor, int n) {
    FOR_RANGE(i, n) { ASTORE(factor * ALOAD(i, x), i, y); }
}

__kernel void fill(__global float *y, float value, int channels, int storedChannels, int count) {
    FOR_RANGE(i, count) { y[i] = i % storedChannels < channels ? value : 0.0f; }
}
