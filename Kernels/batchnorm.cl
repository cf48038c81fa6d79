// Batch normalisation over all rows (N, H, W) of each channel.
//
//   z = gamma (x - mean) / sqrt(var + eps) + beta
//
// Statistics are deterministic and free of cancellation: each chunk of rows takes two passes over its own
// rows (mean, then squared deviations, which also correct the rounding of the mean), the chunks are merged with
// Chan's update, relative to the first chunk's mean: in chunk order, on GPUs by the items of a group and then pairwise.
//
//   batchnorm_statistics   (channel vector, chunk): partial [chunks][2][C] of mean and M2
//   batchnorm_merge        (channel vector, a group each): mean, inverse deviation, unbiased variance [C]
//   batchnorm_normalise    rows: y from x and saved statistics, through a tail (BatchNormTail on the host):
//                          z, max(z, 0), max(residual + z, 0) or v_select max(residual + z, 0) + v_skip residual
//   batchnorm_affine       (channel vector): scale and shift of a convolution's epilogue from running statistics
//   batchnorm_backward_sums  (channel vector, chunk): partial sums of dy and dy xhat
//   batchnorm_backward_merge (channel vector, a group each): dbeta, dgamma
//   batchnorm_backward_input rows: dx = gamma invstd (dy - dbeta/M - xhat dgamma/M)
//   batchnorm_update       (channel vector): r <- (1-m)^n r + (1-(1-m)^n) s, gated by the non-finite flag
//   batchnorm_update_tensors  the same for several batch norms, TENSOR_SPAN vectors of one in a group
//   batchnorm_join         (channel vector): mean and unbiased variance of two halves of as many rows, together
//
// `relu` 1: z passed through ReLU and gradients are masked by y > 0, which is computed from x as y was.
// C = stored channels; M = rows; a chunk covers `span` rows.

// Rows that column sums ask for ahead: wide rows lie on pages of their own.
#define AHEAD 8
#define TAIL_NONE 0
#define TAIL_RELU 1
#define TAIL_ADD 2
#define TAIL_MIX 3

__kernel void batchnorm_statistics(__global const activation *x, __global float *partial, int rows, int C, int span) {
    const int vector = (int)get_global_id(0) * VG, chunk = (int)get_global_id(1);
    const int begin = chunk * span, end = min(begin + span, rows), vectors = C / W;
    if (begin >= rows) return;  // Groups reach beyond the last chunk.
    floatW mean[VG], deviations[VG], rest[VG];
    EACH(k) mean[k] = deviations[k] = rest[k] = 0.0f;
    for (int row = begin; row < end; ++row) {
        PREFETCH(x + (size_t)(row + AHEAD) * C + vector * W, VG * W)
        EACH(k) mean[k] += ALOAD((size_t)row * vectors + vector + k, x);
    }
    EACH(k) mean[k] /= (float)(end - begin);
    for (int row = begin; row < end; ++row) {
        EACH(k) {
            const floatW d = ALOAD((size_t)row * vectors + vector + k, x) - mean[k];
            rest[k] += d;
            deviations[k] = fma(d, d, deviations[k]);
        }
    }
    EACH(k) {
        // A long sum of large values has lost digits of the mean; the deviations add up to what is missing.
        const floatW correction = rest[k] / (float)(end - begin);
        VSTORE(mean[k] + correction, (size_t)chunk * 2 * vectors + vector + k, partial);
        VSTORE(rectify(fma(-rest[k], correction, deviations[k])),
               ((size_t)chunk * 2 + 1) * vectors + vector + k, partial);
    }
}

// Chan's update: `more` rows of this mean and sum of squared deviations join the others.
static inline void join_rows(float *count, floatW *mean, floatW *deviations, float more, floatW more_mean,
                             floatW more_deviations) {
    const float total = *count + more;
    const floatW delta = more_mean - *mean;
    *mean += delta * (more / total);
    *deviations += more_deviations + delta * delta * (*count * more / total);
    *count = total;
}

__kernel void batchnorm_merge(__global const float *partial, __global float *mean, __global float *inverse,
                              __global float *unbiased, int rows, int C, int span, int chunks, float epsilon,
                              int channels) {
    const int vector = (int)get_group_id(0), item = (int)get_local_id(0), vectors = C / W;
    // Means are merged relative to the first one: they differ little, so no digits are lost on a large mean.
    const floatW origin = VLOAD(vector, partial);
    floatW m = 0.0f, deviations = 0.0f;
    float count = 0.0f;
    const int each = (chunks + GROUP_ITEMS - 1) / GROUP_ITEMS;
    for (int chunk = item * each; chunk < min(chunks, (item + 1) * each); ++chunk) {
        join_rows(&count, &m, &deviations, (float)(min((chunk + 1) * span, rows) - chunk * span),
                  VLOAD((size_t)chunk * 2 * vectors + vector, partial) - origin,
                  VLOAD(((size_t)chunk * 2 + 1) * vectors + vector, partial));
    }
#if !CPU_FAMILY
    __local floatW means[GROUP_ITEMS], squares[GROUP_ITEMS];
    __local float counts[GROUP_ITEMS];
    means[item] = m;
    squares[item] = deviations;
    counts[item] = count;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int width = GROUP_ITEMS / 2; width > 0; width /= 2) {
        const float more = item < width ? counts[item + width] : 0.0f;
        if (more > 0.0f) {
            join_rows(&count, &m, &deviations, more, means[item + width], squares[item + width]);
            means[item] = m;
            squares[item] = deviations;
            counts[item] = count;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
#endif
    if (item != 0) return;
    VSTORE(origin + m, vector, mean);
    const intW pad = (uintW)(vector * W) + LANE_INDEX >= (uintW)(channels);
    VSTORE(select(1.0f / sqrt(deviations / count + epsilon), (floatW)(0.0f), pad), vector, inverse);
    VSTORE(deviations / fmax(count - 1.0f, 1.0f), vector, unbiased);
}

__kernel void batchnorm_normalise(__global const activation *x, __global const float *gamma, __global const float *beta,
                                  __global const float *mean, __global const float *inverse,
                                  __global const activation *residual, __global const float *gates,
                                  __global activation *y, int rows, int C, int tail, int block) {
    const int vectors = C / W;
    const float floor_value = tail == TAIL_RELU ? 0.0f : -INFINITY;
    const float select_weight = tail == TAIL_MIX ? gates[block * 16] : 1.0f;
    const float skip_weight = tail == TAIL_MIX ? gates[block * 16 + 1] : 0.0f;
    FOR_CHANNELS(i, v, rows * vectors, vectors) {
        const floatW factor = VLOAD(v, gamma) * VLOAD(v, inverse);
        floatW value = fma(ALOAD(i, x) - VLOAD(v, mean), factor, VLOAD(v, beta));
        if (tail == TAIL_ADD) {
            value = rectify(ALOAD(i, residual) + value);
        } else if (tail == TAIL_MIX) {
            const floatW r = ALOAD(i, residual);
            value = fma((floatW)(select_weight), rectify(r + value), skip_weight * r);
        } else {
            value = select(value, (floatW)(0.0f), value < floor_value);
        }
        ASTORE(value, i, y);
    }
}

__kernel void batchnorm_affine(__global const float *gamma, __global const float *beta, __global const float *mean,
                               __global const float *variance, __global float *scale, __global float *shift,
                               float epsilon) {
    const int v = (int)get_global_id(0);
    const floatW factor = VLOAD(v, gamma) / sqrt(VLOAD(v, variance) + epsilon);
    VSTORE(factor, v, scale);
    VSTORE(fma(-VLOAD(v, mean), factor, VLOAD(v, beta)), v, shift);
}

__kernel void batchnorm_backward_sums(__global const activation *x, __global const activation *dy,
                                      __global const float *gamma, __global const float *beta,
                                      __global const float *mean, __global const float *inverse,
                                      __global float *partial, int rows, int C, int span, int relu) {
    const int vector = (int)get_global_id(0) * VG, chunk = (int)get_global_id(1);
    const int begin = chunk * span, end = min(begin + span, rows), vectors = C / W;
    if (begin >= rows) return;
    floatW m[VG], s[VG], factor[VG], shift[VG], sum[VG], product[VG];
    EACH(k) {
        m[k] = VLOAD(vector + k, mean);
        s[k] = VLOAD(vector + k, inverse);
        factor[k] = VLOAD(vector + k, gamma) * s[k];
        // Without ReLU everything passes.
        shift[k] = relu ? VLOAD(vector + k, beta) : (floatW)(INFINITY);
        sum[k] = product[k] = 0.0f;
    }
    for (int row = begin; row < end; ++row) {
        PREFETCH(x + (size_t)(row + AHEAD) * C + vector * W, VG * W)
        PREFETCH(dy + (size_t)(row + AHEAD) * C + vector * W, VG * W)
        EACH(k) {
            const size_t i = (size_t)row * vectors + vector + k;
            const floatW centred = ALOAD(i, x) - m[k];
            const floatW g = select((floatW)(0.0f), ALOAD(i, dy), fma(centred, factor[k], shift[k]) > 0.0f);
            sum[k] += g;
            product[k] = fma(g, centred * s[k], product[k]);
        }
    }
    EACH(k) {
        VSTORE(sum[k], (size_t)chunk * 2 * vectors + vector + k, partial);
        VSTORE(product[k], ((size_t)chunk * 2 + 1) * vectors + vector + k, partial);
    }
}

__kernel void batchnorm_backward_merge(__global const float *partial, __global float *dgamma, __global float *dbeta,
                                       int C, int chunks) {
    GROUP_MEMORY
    const int vector = (int)get_group_id(0), item = (int)get_local_id(0), vectors = C / W;
    floatW sum = 0.0f, product = 0.0f;
    for (int chunk = item; chunk < chunks; chunk += GROUP_ITEMS) {
        sum += VLOAD((size_t)chunk * 2 * vectors + vector, partial);
        product += VLOAD(((size_t)chunk * 2 + 1) * vectors + vector, partial);
    }
    sum = group_sums(sum);
    product = group_sums(product);
    if (item != 0) return;
    VSTORE(sum, vector, dbeta);
    VSTORE(product, vector, dgamma);
}

__kernel void batchnorm_backward_input(__global const activation *x, __global const activation *dy,
                                       __global const float *gamma, __global const float *beta,
                                       __global const float *mean, __global const float *inverse,
                                       __global const float *dgamma, __global const float *dbeta,
                                       __global activation *dx, int rows, int C, int relu) {
    const int vectors = C / W;
    const float share = 1.0f / (float)rows;
    FOR_CHANNELS(i, v, rows * vectors, vectors) {
        const floatW s = VLOAD(v, inverse), factor = VLOAD(v, gamma) * s, centred = ALOAD(i, x) - VLOAD(v, mean);
        floatW g = ALOAD(i, dy);
        if (relu) g = select((floatW)(0.0f), g, fma(centred, factor, VLOAD(v, beta)) > 0.0f);
        ASTORE(factor * (g - share * fma(centred * s, VLOAD(v, dgamma), VLOAD(v, dbeta))), i, dx);
    }
}

__kernel void batchnorm_join(__global const float *mean_a, __global const float *unbiased_a,
                             __global const float *mean_b, __global const float *unbiased_b, __global float *mean,
                             __global float *unbiased, float within, float between) {
    const int i = (int)get_global_id(0);
    const floatW a = VLOAD(i, mean_a), d = VLOAD(i, mean_b) - a;
    VSTORE(fma(d, (floatW)(0.5f), a), i, mean);
    VSTORE(fma(d * d, (floatW)(between), (VLOAD(i, unbiased_a) + VLOAD(i, unbiased_b)) * within), i, unbiased);
}

static inline void move_statistics(int i, __global const float *mean, __global const float *unbiased,
                                   __global float *running_mean, __global float *running_variance,
                                   __global int *tracked, float keep, int batches) {
    const floatW m = VLOAD(i, mean), s = VLOAD(i, unbiased);
    VSTORE(fma((floatW)(keep), VLOAD(i, running_mean) - m, m), i, running_mean);
    VSTORE(fma((floatW)(keep), VLOAD(i, running_variance) - s, s), i, running_variance);
    if (i == 0) tracked[0] += batches;
}

__kernel void batchnorm_update(__global const float *mean, __global const float *unbiased, __global float *running_mean,
                               __global float *running_variance, __global int *tracked, __global const int *flag,
                               float keep, int batches, int n) {
    const int i = (int)get_global_id(0);
    if (flag[0] != 0 || i >= n) return;
    move_statistics(i, mean, unbiased, running_mean, running_variance, tracked, keep, batches);
}

#define STATISTICS_TENSOR(i)                                                                    \
    __global const float *mean##i, __global const float *unbiased##i, __global float *running_mean##i, \
        __global float *running_variance##i, __global int *tracked##i,
#define STATISTICS_PICK(i)                                                                      \
    if (index == i) {                                                                           \
        mean = mean##i;                                                                         \
        unbiased = unbiased##i;                                                                 \
        running_mean = running_mean##i;                                                         \
        running_variance = running_variance##i;                                                 \
        tracked = tracked##i;                                                                   \
    }
__kernel void batchnorm_update_tensors(TENSORS_24(STATISTICS_TENSOR) __global const int *flag, float keep, int batches,
                                       int n) {
    if (flag[0] != 0) return;
    const int index = TENSOR_INDEX(n);
    __global const float *mean = mean0, *unbiased = unbiased0;
    __global float *running_mean = running_mean0, *running_variance = running_variance0;
    __global int *tracked = tracked0;
    TENSORS_24(STATISTICS_PICK)
    FOR_TENSOR(i, n) move_statistics(i, mean, unbiased, running_mean, running_variance, tracked, keep, batches);
}
