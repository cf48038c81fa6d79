// Decisions of each image: gates v [N, K] in float32, one row for each image, from logits z [N, K].
//
//   image_gates           p = 1 / (1 + exp(-(z + log u - log(1 - u)) / temperature)),  v = 1 where p >= 1/2, else 0
//   image_gates_decided   v = 1 where z >= 0, else 0
//   image_gates_backward  dz = dv p (1 - p) / temperature
//   image_select          y = v a + (1 - v) b, v of the image and of one column
//   image_select_backward da = v dy,  db = (1 - v) dy
//   image_select_sums     a group per image and chunk: partial[image][chunk] = sum of dy (a - b)
//   image_select_totals   a group per image: sum of its partials into `column` of dv [N, K]; other columns 0
//   block_use             mean over images of (1/K sum v)^2
//   image_sparsity        form 0, paper:     mean over images of sum over K of log alpha
//                         form 1, published: mean over both of -log(1 - alpha), weighted 2l/K if `layered`
//   image_sharing         mean over images; form 0, paper: sum (K-l)/K |alpha1 - alpha2|;
//                         form 1, published: sum l/K |z1 - z2|.   l = 1 ... K
//
// alpha = 1 / (1 + exp(-z)). Layout: rows of `stored` floats; gates one work-item per image, select FOR_RANGE over
// vectors, `span` of them an image; the losses one work-item in all. Pads hold 0.

static inline float logistic(float z) { return 1.0f / (1.0f + exp(-z)); }

// log of 1 / (1 + exp(-z)) without overflow.
static inline float log_logistic(float z) { return -(fmax(-z, 0.0f) + log1p(exp(-fabs(z)))); }

__kernel void image_gates(__global const float *z, __global const float *u, __global const float *step,
                          __global float *v, __global float *soft, int columns, int stored) {
    const int first = (int)get_global_id(0) * stored;
    for (int c = 0; c < stored; ++c) {
        const int i = first + c;
        // NaN is passed on, so that a broken activation reaches the loss and the finite check.
        const float p = c < columns ? logistic((z[i] + log(u[i]) - log(1.0f - u[i])) / step[STEP_TEMPERATURE]) : 0.0f;
        soft[i] = p;
        v[i] = p >= 0.5f ? 1.0f : p - p;
    }
}

__kernel void image_gates_decided(__global const float *z, __global float *v, int columns, int stored) {
    const int first = (int)get_global_id(0) * stored;
    for (int c = 0; c < stored; ++c) v[first + c] = c < columns && z[first + c] >= 0.0f ? 1.0f : 0.0f;
}

__kernel void image_gates_backward(__global const float *soft, __global const float *dv, __global const float *step,
                                   __global float *dz, int stored) {
    const int first = (int)get_global_id(0) * stored;
    for (int i = first; i < first + stored; ++i) dz[i] = dv[i] * soft[i] * (1.0f - soft[i]) / step[STEP_TEMPERATURE];
}

__kernel void image_select(__global const activation *a, __global const activation *b, __global const float *v,
                           __global activation *y, int column, int stored, int span, int n) {
    FOR_RANGE(i, n) {
        const float gate = v[i / span * stored + column];
        ASTORE(fma((floatW)(gate), ALOAD(i, a), (1.0f - gate) * ALOAD(i, b)), i, y);
    }
}

__kernel void image_select_backward(__global const float *v, __global const activation *dy, __global activation *da,
                                    __global activation *db, int column, int stored, int span, int n) {
    FOR_RANGE(i, n) {
        const float gate = v[i / span * stored + column];
        const floatW g = ALOAD(i, dy);
        ASTORE(gate * g, i, da);
        ASTORE((1.0f - gate) * g, i, db);
    }
}

__kernel void image_select_sums(__global const activation *a, __global const activation *b,
                                __global const activation *dy, __global float *partial, int span, int chunk,
                                int chunks) {
    GROUP_MEMORY
    const int group = (int)get_group_id(0), image = group / chunks, first = group % chunks * chunk;
    const size_t base = (size_t)image * span;
    floatW sum = 0.0f;
    for (int i = first + (int)get_local_id(0); i < min(first + chunk, span); i += GROUP_ITEMS)
        sum = fma(ALOAD(base + i, dy), ALOAD(base + i, a) - ALOAD(base + i, b), sum);
    sum = group_sums(sum);
    if (get_local_id(0) == 0) partial[group] = horizontal_sum(sum);
}

__kernel void image_select_totals(__global const float *partial, __global float *dv, int chunks, int column,
                                  int stored) {
    GROUP_MEMORY
    const int image = (int)get_group_id(0);
    float sum = 0.0f;
    for (int i = (int)get_local_id(0); i < chunks; i += GROUP_ITEMS) sum += partial[image * chunks + i];
    sum = group_sum(sum);
    if (get_local_id(0) != 0) return;
    for (int c = 0; c < stored; ++c) dv[image * stored + c] = c == column ? sum : 0.0f;
}

__kernel void block_use(__global const float *v, __global float *loss, int images, int columns, int stored) {
    float total = 0.0f;
    for (int image = 0; image < images; ++image) {
        float sum = 0.0f;
        for (int c = 0; c < columns; ++c) sum += v[image * stored + c];
        total = fma(sum / (float)columns, sum / (float)columns, total);
    }
    store_scalar(loss, total / (float)images);
}

__kernel void block_use_backward(__global const float *v, __global const float *dloss, __global float *dv, int images,
                                 int columns, int stored) {
    const int image = (int)get_global_id(0);
    float sum = 0.0f;
    for (int c = 0; c < columns; ++c) sum += v[image * stored + c];
    const float slope = dloss[0] * 2.0f * sum / ((float)columns * (float)columns * (float)images);
    for (int c = 0; c < stored; ++c) dv[image * stored + c] = c < columns ? slope : 0.0f;
}

static inline float layer_weight(int l, int columns, int layered) {
    return layered ? 2.0f * (float)(l + 1) / (float)columns : 1.0f;
}

__kernel void image_sparsity(__global const float *z, __global float *loss, int images, int columns, int stored,
                             int form, int layered) {
    float sum = 0.0f;
    for (int image = 0; image < images; ++image)
        for (int l = 0; l < columns; ++l) {
            const float logit = z[image * stored + l];
            sum += form == 0 ? log_logistic(logit) : -layer_weight(l, columns, layered) * log_logistic(-logit);
        }
    store_scalar(loss, sum / (float)(form == 0 ? images : images * columns));
}

__kernel void image_sparsity_backward(__global const float *z, __global const float *dloss, __global float *dz,
                                      int images, int columns, int stored, int form, int layered) {
    const int first = (int)get_global_id(0) * stored;
    for (int l = 0; l < stored; ++l) {
        const float logit = z[first + l];
        const float slope = form == 0 ? logistic(-logit) / (float)images
                                      : layer_weight(l, columns, layered) * logistic(logit) / (float)(images * columns);
        dz[first + l] = l < columns ? dloss[0] * slope : 0.0f;
    }
}

__kernel void image_sharing(__global const float *z1, __global const float *z2, __global float *loss, int images,
                            int columns, int stored, int form) {
    float sum = 0.0f;
    for (int image = 0; image < images; ++image)
        for (int l = 0; l < columns; ++l) {
            const int i = image * stored + l;
            sum += form == 0 ? (float)(columns - 1 - l) / (float)columns * fabs(logistic(z1[i]) - logistic(z2[i]))
                             : (float)(l + 1) / (float)columns * fabs(z1[i] - z2[i]);
        }
    store_scalar(loss, sum / (float)images);
}

__kernel void image_sharing_backward(__global const float *z1, __global const float *z2, __global const float *dloss,
                                     __global float *dz1, __global float *dz2, int images, int columns, int stored,
                                     int form) {
    const int first = (int)get_global_id(0) * stored;
    for (int l = 0; l < stored; ++l) {
        const int i = first + l;
        const float scale = l < columns ? dloss[0] / (float)images : 0.0f;
        if (form == 0) {
            const float a1 = logistic(z1[i]), a2 = logistic(z2[i]);
            const float slope = scale * (float)(columns - 1 - l) / (float)columns * sign(a1 - a2);
            dz1[i] = slope * a1 * (1.0f - a1);
            dz2[i] = -slope * a2 * (1.0f - a2);
        } else {
            const float slope = scale * (float)(l + 1) / (float)columns * sign(z1[i] - z2[i]);
            dz1[i] = slope;
            dz2[i] = -slope;
        }
    }
}
