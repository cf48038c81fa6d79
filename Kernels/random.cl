// Counter-based random numbers: dropout masks and uniform noise.
//
// Philox key = seed XOR the operation's 64-bit name hash; counter = (index, step, phase, part). A draw depends on
// nothing else, so it is the same in every plan, on every device and after recomputation.
//
//   dropout  y[e] = max(x[e], 0) / (1 - p) where u >= p, else 0.
//            Element e uses counter (e/64)*16 + e%16 and word (e/16)%4, so 64 elements share 16 counters. Of a part of
//            a batch, e counts from the batch's first image: x begins `behind` elements after that of group `first`.
//   dropout_backward  dx = dy / (1 - p) where y > 0, else 0
//   uniform  u[row, column] in (0, 1), rows of `stored`: counter = first_row + row, part = column / 4, word = column
//            % 4; the part of dropout is 0.

__kernel void dropout(__global const activation *x, __global activation *y, __global const uint *step, uint name_low,
                      uint name_high, float probability, int groups, uint first, int behind, int stored) {
    const float keep_scale = 1.0f / (1.0f - probability);
    FOR_RANGE(g, groups) {
        const int base = (g / (16 / W)) * 64 + (g % (16 / W)) * W - behind;
        uintW c0 = (uintW)((first + g / (16 / W)) * 16 + (g % (16 / W)) * W) + LANE_INDEX;
        uintW c1 = (uintW)(step[STEP_INDEX]), c2 = (uintW)(step[STEP_PHASE]), c3 = (uintW)(0u);
        uint k0 = step[STEP_SEED_LOW] ^ name_low, k1 = step[STEP_SEED_HIGH] ^ name_high;
        PHILOX_ROUNDS(uintW)
        const uintW words[4] = {c0, c1, c2, c3};
        for (int word = 0; word < 4; ++word) {
            const int at = base + word * 16;
            if (behind != 0 && (at < 0 || at >= stored)) continue;  // Of the images before and behind.
            const floatW u = UNIT_UNIFORM(words[word], CONVERT_FLOATW);
            const floatW value = rectify(ALOAD(0, x + at)) * keep_scale;
            ASTORE(select(value, (floatW)(0.0f), u < probability), 0, y + at);
        }
    }
}

__kernel void dropout_backward(__global const activation *y, __global const activation *dy, __global activation *dx,
                               float probability, int n) {
    const float keep_scale = 1.0f / (1.0f - probability);
    FOR_RANGE(i, n) { ASTORE(select((floatW)(0.0f), ALOAD(i, dy) * keep_scale, ALOAD(i, y) > 0.0f), i, dx); }
}

__kernel void uniform(__global float *u, __global const uint *step, uint name_low, uint name_high, int columns,
                      int stored, int first_row) {
    const int row = (int)get_global_id(0);
    for (int first = 0; first < stored; first += 4) {
        uint c0 = (uint)(first_row + row), c1 = step[STEP_INDEX], c2 = step[STEP_PHASE], c3 = (uint)first / 4u;
        uint k0 = step[STEP_SEED_LOW] ^ name_low, k1 = step[STEP_SEED_HIGH] ^ name_high;
        PHILOX_ROUNDS(uint)
        const uint words[4] = {c0, c1, c2, c3};
        for (int word = 0; word < 4; ++word)
            u[row * stored + first + word] = first + word < columns ? UNIT_UNIFORM(words[word], convert_float) : 0.0f;
    }
}
