// Elementwise passes over padded tensors.
//
//   relu              y = max(x, 0)
//   relu_backward     dx = dy where y > 0, else 0
//   sum2, sum3, sum4  y = a + b (+ c (+ d)), added from left to right
//   scale             y = factor * x
//   fill              y = value on the logical channels, 0 on pads
//
// Layout: FOR_RANGE over vectors of W floats; `n` counts vectors. Outputs may alias any input.

__kernel void relu(__global const float *x, __global float *y, int n) {
    FOR_RANGE(i, n) { VSTORE(rectify(VLOAD(i, x)), i, y); }
}

__kernel void relu_backward(__global const float *y, __global const float *dy, __global float *dx, int n) {
    FOR_RANGE(i, n) {
        const floatW g = VLOAD(i, dy);
        VSTORE(select((floatW)(0.0f), g, VLOAD(i, y) > 0.0f), i, dx);
    }
}

__kernel void sum2(__global const float *a, __global const float *b, __global float *y, int n) {
    FOR_RANGE(i, n) { VSTORE(VLOAD(i, a) + VLOAD(i, b), i, y); }
}

__kernel void sum3(__global const float *a, __global const float *b, __global const float *c, __global float *y,
                   int n) {
    FOR_RANGE(i, n) { VSTORE(VLOAD(i, a) + VLOAD(i, b) + VLOAD(i, c), i, y); }
}

__kernel void sum4(__global const float *a, __global const float *b, __global const float *c, __global const float *d,
                   __global float *y, int n) {
    FOR_RANGE(i, n) { VSTORE(VLOAD(i, a) + VLOAD(i, b) + VLOAD(i, c) + VLOAD(i, d), i, y); }
}

__kernel void scale(__global const float *x, __global float *y, float factor, int n) {
    FOR_RANGE(i, n) { VSTORE(factor * VLOAD(i, x), i, y); }
}

__kernel void fill(__global float *y, float value, int channels, int storedChannels, int count) {
    FOR_RANGE(i, count) { y[i] = i % storedChannels < channels ? value : 0.0f; }
}
