// Attention: a tensor let through as far as another one says.
//
//   sigmoid_product           y = s p,  s = 1 / (1 + exp(-z))
//   sigmoid_product_backward  dz = dy p s (1 - s),  dp = dy s
//
// Layout: FOR_RANGE over vectors; outputs may alias inputs. Pads: p and dy are 0 there, and so is everything else.

static inline floatW sigmoid(floatW z) { return 1.0f / (1.0f + exp(-z)); }

__kernel void sigmoid_product(__global const activation *z, __global const activation *p, __global activation *y,
                              int n) {
    FOR_RANGE(i, n) { ASTORE(sigmoid(ALOAD(i, z)) * ALOAD(i, p), i, y); }
}

__kernel void sigmoid_product_backward(__global const activation *z, __global const activation *p,
                                       __global const activation *dy, __global activation *dz,
                                       __global activation *dp, int n) {
    FOR_RANGE(i, n) {
        const floatW s = sigmoid(ALOAD(i, z)), through = s * ALOAD(i, dy), value = ALOAD(i, p);
        ASTORE(through * value * (1.0f - s), i, dz);
        ASTORE(through, i, dp);
    }
}
