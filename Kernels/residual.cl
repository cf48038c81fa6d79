// Gradients of the ends of residual blocks. r = residual path, f = branch F(x); the ends themselves are tails in
// batchnorm.cl.
//
//   residual_mixed_backward   of y = v_select max(r + f, 0) + v_skip r
//                       df = v_select dy [r + f > 0],  dr = df + v_skip dy
//                       partial sums of  dv_select = sum dy max(r + f, 0),  dv_skip = sum dy r
//   residual_gate_sums  partial sums of  dv_select = sum dy y,  dv_skip = sum dy r,  of a selected block's y
//   residual_mixed_gate adds the partials, one group, and writes row `block` of dv [L, 2]; other rows 0
//
// gates: [L, 2], row stride 16 floats, column 0 = select, 1 = skip.
// Layout: FOR_RANGE over vectors; partials [2][groups], groups fixed by the shape alone.

__kernel void residual_mixed_backward(__global const activation *r, __global const activation *f,
                                      __global const float *gates, __global const activation *dy,
                                      __global activation *dr, __global activation *df, __global float *partial,
                                      int block, int n) {
    GROUP_MEMORY
    const float select_weight = gates[block * 16], skip_weight = gates[block * 16 + 1];
    floatW sum_select = 0.0f, sum_skip = 0.0f;
    FOR_RANGE(i, n) {
        const floatW a = ALOAD(i, r), pre = a + ALOAD(i, f), g = ALOAD(i, dy);
        const floatW through = select((floatW)(0.0f), select_weight * g, pre > 0.0f);
        sum_select = fma(g, rectify(pre), sum_select);
        sum_skip = fma(g, a, sum_skip);
        ASTORE(through, i, df);
        ASTORE(fma((floatW)(skip_weight), g, through), i, dr);
    }
    STORE_PARTIALS(partial, horizontal_sum(sum_select), horizontal_sum(sum_skip))
}

__kernel void residual_gate_sums(__global const activation *y, __global const activation *r,
                                 __global const activation *dy, __global float *partial, int n) {
    GROUP_MEMORY
    floatW sum_select = 0.0f, sum_skip = 0.0f;
    FOR_RANGE(i, n) {
        const floatW g = ALOAD(i, dy);
        sum_select = fma(g, ALOAD(i, y), sum_select);
        sum_skip = fma(g, ALOAD(i, r), sum_skip);
    }
    STORE_PARTIALS(partial, horizontal_sum(sum_select), horizontal_sum(sum_skip))
}

__kernel void residual_mixed_gate(__global const float *partial, __global float *dv, int count, int block, int blocks) {
    GROUP_MEMORY
    ADD_PARTIALS(partial, count, sum_select, sum_skip)
    if (get_local_id(0) != 0) return;
    for (int i = 0; i < blocks * 16; ++i) dv[i] = 0.0f;
    dv[block * 16] = sum_select;
    dv[block * 16 + 1] = sum_skip;
}
