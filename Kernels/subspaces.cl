// Slices of channels: what joins the features of several tasks slice by slice, and what keeps slices apart.
//
//   subspace_mix           y[r][g] = sum over `count` of four tensors x, and h, of weight(g, h) x[r][h]
//                          `adds`: on top of what y holds
//                          weight(g, h) = w[g][first + h] for the first one; transposed: w[h][first + g]
//   subspace_mix_sums      (pair of slices g, h; chunk): partial[g][term][h][chunk] = sum of dy[g] x[h] over the chunk
//   subspace_mix_totals    a group per number of dw: the sum of its chunks; pads 0
//   subspace_overlap_rows  a group per row k of p: partial[k] = sum of squares of p[k][l] over slices behind that of k
//   subspace_overlap_total one group: y = sum of the rows' partials
//   subspace_between       p[k][l] 2 dy where k and l are of different slices, else 0
//
// w, dw: [G, T G] in float32, rows of `stride`; p: [K, K], rows of `stored`. A slice is whole vectors, `span` channels
// of p. Layout of subspace_mix: FOR_CHANNELS over n vectors, `vectors` of them in a row; y aliases nothing.

// What the slices of one tensor add to slice g, at row `base` and `offset` vectors into the slice.
static inline floatW slices(floatW sum, __global const activation *x, __global const float *w, int base, int g,
                            int offset, int span, int first, int subspaces, int stride, int transposed) {
    for (int h = 0; h < subspaces; ++h) {
        const float weight = transposed ? w[h * stride + first + g] : w[g * stride + first + h];
        sum = fma((floatW)(weight), ALOAD(base + h * span + offset, x), sum);
    }
    return sum;
}

__kernel void subspace_mix(__global const activation *a, __global const activation *b, __global const activation *c,
                           __global const activation *d, __global const float *w, __global activation *y, int first,
                           int count, int subspaces, int stride, int transposed, int adds, int n, int vectors) {
    const int span = vectors / subspaces;
    FOR_CHANNELS(i, v, n, vectors) {
        const int g = v / span, offset = v - g * span, base = i - v;
        floatW sum = slices(0.0f, a, w, base, g, offset, span, first, subspaces, stride, transposed);
        if (count > 1) sum = slices(sum, b, w, base, g, offset, span, first + subspaces, subspaces, stride, transposed);
        if (count > 2)
            sum = slices(sum, c, w, base, g, offset, span, first + 2 * subspaces, subspaces, stride, transposed);
        if (count > 3)
            sum = slices(sum, d, w, base, g, offset, span, first + 3 * subspaces, subspaces, stride, transposed);
        if (adds) sum += ALOAD(i, y);
        ASTORE(sum, i, y);
    }
}

__kernel void subspace_mix_sums(__global const activation *x, __global const activation *dy, __global float *partial,
                                int rows, int vectors, int rowSpan, int chunks, int term, int terms, int subspaces) {
    const int pair = (int)get_global_id(0), chunk = (int)get_global_id(1);
    const int g = pair / subspaces, h = pair - g * subspaces, span = vectors / subspaces;
    const int end = min((chunk + 1) * rowSpan, rows);
    if (chunk * rowSpan >= rows) return;  // Groups reach beyond the last chunk.
    floatW sum = 0.0f;
    for (int row = chunk * rowSpan; row < end; ++row) {
        const size_t start = (size_t)row * vectors;
        for (int v = 0; v < span; ++v) sum = fma(ALOAD(start + g * span + v, dy), ALOAD(start + h * span + v, x), sum);
    }
    partial[(size_t)((g * terms + term) * subspaces + h) * chunks + chunk] = horizontal_sum(sum);
}

__kernel void subspace_mix_totals(__global const float *partial, __global float *dw, int columns, int stride,
                                  int chunks) {
    GROUP_MEMORY
    const int place = (int)get_group_id(0), row = place / stride, column = place - row * stride;
    float sum = 0.0f;
    if (column < columns)
        for (int chunk = (int)get_local_id(0); chunk < chunks; chunk += GROUP_ITEMS)
            sum += partial[(size_t)(row * columns + column) * chunks + chunk];
    sum = group_sum(sum);
    if (get_local_id(0) == 0) dw[place] = sum;
}

__kernel void subspace_overlap_rows(__global const float *p, __global float *partial, int channels, int stored,
                                    int span) {
    GROUP_MEMORY
    const int k = (int)get_group_id(0);
    float sum = 0.0f;
    for (int l = (k / span + 1) * span + (int)get_local_id(0); l < channels; l += GROUP_ITEMS)
        sum = fma(p[(size_t)k * stored + l], p[(size_t)k * stored + l], sum);
    sum = group_sum(sum);
    if (get_local_id(0) == 0) partial[k] = sum;
}

__kernel void subspace_overlap_total(__global const float *partial, __global float *y, int channels) {
    GROUP_MEMORY
    float sum = 0.0f;
    for (int k = (int)get_local_id(0); k < channels; k += GROUP_ITEMS) sum += partial[k];
    sum = group_sum(sum);
    if (get_local_id(0) == 0) store_scalar(y, sum);
}

__kernel void subspace_between(__global const float *p, __global const float *dy, __global float *b, int channels,
                               int stored, int span) {
    FOR_RANGE(i, channels * stored) {
        const int k = i / stored, l = i - k * stored;
        b[i] = l < channels && k / span != l / span ? 2.0f * dy[0] * p[i] : 0.0f;
    }
}
