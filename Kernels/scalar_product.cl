// The product of two numbers that are known on the device alone: a loss and its weight.
//
//   y[0] = a[0] b[0]
//
// Tensors of one number, pads included. Layout: one work-item. `y` may alias `a` and `b`.

__kernel void scalar_product(__global const float *a, __global const float *b, __global float *y) {
    store_scalar(y, a[0] * b[0]);
}
