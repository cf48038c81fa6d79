// Tensors of one shape, added with a weight for each channel: what joins the features of several tasks.
//
//   channel_mix        y[r][c] = w[row][c] a[r][c] + w[row + 1][c] b[r][c] + ..., `count` of the four operands;
//                      `adds`: on top of what y holds
//   channel_mix_sums   (channel vector, chunk): partial[operand][chunk][C] = sum of x dy over the chunk's rows
//   channel_mix_totals a group per operand and channel vector: dw[operand][C] = sum of the chunks' partials
//
// w, dw: [T, C] in float32, rows padded as those of the tensors. Layout of channel_mix: FOR_CHANNELS over n vectors,
// `vectors` of them in a row; y may alias any operand.

__kernel void channel_mix(__global const activation *a, __global const activation *b, __global const activation *c,
                          __global const activation *d, __global const float *w, __global activation *y, int row,
                          int count, int adds, int n, int vectors) {
    FOR_CHANNELS(i, v, n, vectors) {
        const int weight = row * vectors + v;
        floatW sum = VLOAD(weight, w) * ALOAD(i, a);
        if (count > 1) sum = fma(VLOAD(weight + vectors, w), ALOAD(i, b), sum);
        if (count > 2) sum = fma(VLOAD(weight + 2 * vectors, w), ALOAD(i, c), sum);
        if (count > 3) sum = fma(VLOAD(weight + 3 * vectors, w), ALOAD(i, d), sum);
        if (adds) sum += ALOAD(i, y);
        ASTORE(sum, i, y);
    }
}

__kernel void channel_mix_sums(__global const activation *x, __global const activation *dy, __global float *partial,
                               int rows, int vectors, int span, int chunks, int operand) {
    const int vector = (int)get_global_id(0), chunk = (int)get_global_id(1);
    const int end = min((chunk + 1) * span, rows);
    if (chunk * span >= rows) return;  // Groups reach beyond the last chunk.
    floatW sum = 0.0f;
    for (int row = chunk * span; row < end; ++row) {
        const size_t i = (size_t)row * vectors + vector;
        sum = fma(ALOAD(i, x), ALOAD(i, dy), sum);
    }
    VSTORE(sum, ((size_t)operand * chunks + chunk) * vectors + vector, partial);
}

__kernel void channel_mix_totals(__global const float *partial, __global float *dw, int vectors, int chunks) {
    GROUP_MEMORY
    const int place = (int)get_group_id(0), operand = place / vectors, vector = place % vectors;
    floatW sum = 0.0f;
    for (int chunk = (int)get_local_id(0); chunk < chunks; chunk += GROUP_ITEMS)
        sum += VLOAD(((size_t)operand * chunks + chunk) * vectors + vector, partial);
    sum = group_sums(sum);
    if (get_local_id(0) == 0) VSTORE(sum, place, dw);
}
