// Fixed-order sums over chunks and columns; no atomics, same bits on every run.
//
//   column_sums   (channel vector, chunk): partial[chunk][C] = sum of the chunk's rows
//   column_totals a group per channel vector: y[C] = sum of many chunks' partials
//   chunk_sum     FOR_RANGE over vectors: y = partial[0] + partial[1] + ... of a few chunks, in their order
//
// `vectors` = vectors per row (columns) or per chunk (chunk_sum).

__kernel void column_sums(__global const activation *x, __global float *partial, int rows, int vectors, int span) {
    const int vector = (int)get_global_id(0), chunk = (int)get_global_id(1);
    const int end = min((chunk + 1) * span, rows);
    if (chunk * span >= rows) return;  // Groups reach beyond the last chunk.
    floatW sum = 0.0f;
    for (int row = chunk * span; row < end; ++row) sum += ALOAD((size_t)row * vectors + vector, x);
    VSTORE(sum, (size_t)chunk * vectors + vector, partial);
}

__kernel void column_totals(__global const float *partial, __global float *y, int vectors, int chunks) {
    GROUP_MEMORY
    const int vector = (int)get_group_id(0);
    floatW sum = 0.0f;
    for (int chunk = (int)get_local_id(0); chunk < chunks; chunk += GROUP_ITEMS)
        sum += VLOAD((size_t)chunk * vectors + vector, partial);
    sum = group_sums(sum);
    if (get_local_id(0) == 0) VSTORE(sum, vector, y);
}

__kernel void chunk_sum(__global const float *partial, __global float *y, int vectors, int chunks) {
    FOR_RANGE(i, vectors) {
        floatW sum = VLOAD(i, partial);
        for (int chunk = 1; chunk < chunks; ++chunk) sum += VLOAD((size_t)chunk * vectors + i, partial);
        VSTORE(sum, i, y);
    }
}
