// Gradients of the ends of residual blocks. r = residual path, f = branch F(x); the ends themselves are tails in batchnorm.cl.
//
//   residual_mixed_backward   of y = v_select max(r + f, 0) + v_skip r
//                       df = v_select dy [r + f > 0],  dr = df + v_skip dy
//                       partial sums of  dv_select = sum dy max(r + f, 0),  dv_skip = sum dy r
//   residual_gate_sums  partial sums of  dv_select = sum dy y,  dv_skip = sum dy r,  of a selected block's y
//   residual_mixed_gate adds the partials in a fixed order and writes row `block` of dv [L, 2]; other rows 0
//
// gates: [L, 2], row stride 16 floats, column 0 = select, 1 = skip.
// Layout: FOR_RANGE over vectors; partials [2][work-items], work-items fixed by the shape alone.

__kernel void residual_mixed_backward(__global const float *r, __global const float *f, __global const float *gates,
                                      __global const float *dy, __global float *dr, __global float *df,
                                      __global float *partial, int block, int n) {
    const float select_weight = gates[block * 16], skip_weight = gates[block * 16 + 1];
    floatW sum_select = 0.0f, sum_skip = 0.0f;
    FOR_RANGE(i, n) {
        const floatW a = VLOAD(i, r), pre = a + VLOAD(i, f), g = VLOAD(i, dy);
        const floatW through = select((floatW)(0.0f), select_weight * g, pre > 0.0f);
        sum_select = fma(g, rectify(pre), sum_select);
        sum_skip = fma(g, a, sum_skip);
        VSTORE(through, i, df);
        VSTORE(fma((floatW)(skip_weight), g, through), i, dr);
    }
    partial[get_global_id(0)] = horizontal_sum(sum_select);
    partial[get_global_size(0) + get_global_id(0)] = horizontal_sum(sum_skip);
}

__kernel void residual_gate_sums(__global const float *y, __global const float *r, __global const float *dy,
                                 __global float *partial, int n) {
    floatW sum_select = 0.0f, sum_skip = 0.0f;
    FOR_RANGE(i, n) {
        const floatW g = VLOAD(i, dy);
        sum_select = fma(g, VLOAD(i, y), sum_select);
        sum_skip = fma(g, VLOAD(i, r), sum_skip);
    }
    partial[get_global_id(0)] = horizontal_sum(sum_select);
    partial[get_global_size(0) + get_global_id(0)] = horizontal_sum(sum_skip);
}

__kernel void residual_mixed_gate(__global const float *partial, __global float *dv, int count, int block, int blocks) {
    float sum_select = 0.0f, sum_skip = 0.0f;
    for (int i = 0; i < count; ++i) {
        sum_select += partial[i];
        sum_skip += partial[count + i];
    }
    for (int i = 0; i < blocks * 16; ++i) dv[i] = 0.0f;
    dv[block * 16] = sum_select;
    dv[block * 16 + 1] = sum_skip;
}
