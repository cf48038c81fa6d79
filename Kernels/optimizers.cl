// Parameter updates with coupled (L2) weight decay, PyTorch's formulas, in place.
//
//   sgd    g += decay p;  b = momentum b + g;  p -= rate b            (b starts at 0, so b = g on the first step)
//   adam   g += decay p;  m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2
//          p -= rate / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + eps)
//
// Rates and bias corrections come from the step buffer at `slot`; nothing moves once the non-finite flag is set.
// rest1 = 1 - b1 and rest2 = 1 - b2 come from the host: in float32, 1 - 0.999f is off by 1.3e-5 of its value.
// Layout: FOR_RANGE over vectors; sgd_tensors and adam_tensors do the same to several tensors, TENSOR_SPAN vectors of
// one in a group.

static inline void sgd_move(int i, __global float *p, __global const float *gradient, __global float *b, float rate,
                            float momentum, float decay) {
    const floatW value = VLOAD(i, p);
    const floatW velocity = fma((floatW)(momentum), VLOAD(i, b), fma((floatW)(decay), value, VLOAD(i, gradient)));
    VSTORE(velocity, i, b);
    VSTORE(fma((floatW)(-rate), velocity, value), i, p);
}

__kernel void sgd(__global float *p, __global const float *gradient, __global float *b, __global const float *step,
                  __global const int *flag, int slot, float momentum, float decay, int n) {
    if (flag[0] != 0) return;
    const float rate = step[slot];
    FOR_RANGE(i, n) sgd_move(i, p, gradient, b, rate, momentum, decay);
}

#define SGD_TENSOR(i) __global float *p##i, __global const float *g##i, __global float *b##i,
#define SGD_PICK(i) if (index == i) { p = p##i; gradient = g##i; b = b##i; }
__kernel void sgd_tensors(TENSORS_28(SGD_TENSOR) __global const float *step, __global const int *flag, int slot,
                          float momentum, float decay, int n) {
    if (flag[0] != 0) return;
    const float rate = step[slot];
    const int index = TENSOR_INDEX(n);
    __global float *p = p0, *b = b0;
    __global const float *gradient = g0;
    TENSORS_28(SGD_PICK)
    FOR_TENSOR(i, n) sgd_move(i, p, gradient, b, rate, momentum, decay);
}

static inline void adam_move(int i, __global float *p, __global const float *gradient, __global float *m,
                             __global float *v, float size, float root, float beta1, float rest1, float beta2,
                             float rest2, float epsilon, float decay) {
    const floatW value = VLOAD(i, p), g = fma((floatW)(decay), value, VLOAD(i, gradient));
    const floatW first = fma((floatW)(beta1), VLOAD(i, m), rest1 * g);
    const floatW second = fma((floatW)(beta2), VLOAD(i, v), rest2 * g * g);
    VSTORE(first, i, m);
    VSTORE(second, i, v);
    VSTORE(value - size * first / (sqrt(second) / root + epsilon), i, p);
}

__kernel void adam(__global float *p, __global const float *gradient, __global float *m, __global float *v,
                   __global const float *step, __global const int *flag, int slot, float beta1, float rest1,
                   float beta2, float rest2, float epsilon, float decay, int n) {
    if (flag[0] != 0) return;
    const float size = step[slot] / step[slot + 1], root = step[slot + 2];
    FOR_RANGE(i, n) adam_move(i, p, gradient, m, v, size, root, beta1, rest1, beta2, rest2, epsilon, decay);
}

#define ADAM_TENSOR(i) __global float *p##i, __global const float *g##i, __global float *m##i, __global float *v##i,
#define ADAM_PICK(i) if (index == i) { p = p##i; gradient = g##i; m = m##i; v = v##i; }
__kernel void adam_tensors(TENSORS_28(ADAM_TENSOR) __global const float *step, __global const int *flag, int slot,
                           float beta1, float rest1, float beta2, float rest2, float epsilon, float decay, int n) {
    if (flag[0] != 0) return;
    const float size = step[slot] / step[slot + 1], root = step[slot + 2];
    const int index = TENSOR_INDEX(n);
    __global float *p = p0, *m = m0, *v = v0;
    __global const float *gradient = g0;
    TENSORS_28(ADAM_PICK)
    FOR_TENSOR(i, n) adam_move(i, p, gradient, m, v, size, root, beta1, rest1, beta2, rest2, epsilon, decay);
}
