// Losses of the dense and classification tasks, and their gradients. Labels already have the prediction's size.
//
//   crossentropy  -log softmax(x)[label], weighted mean over pixels with label != ignore
//   cosine        1 - mean cosine of prediction and label over valid pixels (largest label channel < 255)
//                 published 0: label decoded v/127.5 - 1, order (n_x, n_y, n_z); 1: raw v in order B, G, R
//   l1            mean |x - g| over valid pixels: rule 0: g > 3e-5; rule 1: g != 255
//
// Two stages: <loss>_partial writes [2][groups] (sum, weight), loss_finish, one group, adds them and writes
// loss[0] = bias + sign sum/weight and total[0] = weight. <loss>_backward scales by the upstream scalar dloss[0].
// No valid pixel: loss 0, gradient 0. C = channels, CS = stored channels of the prediction, a multiple of 16.
// Layout: FOR_RANGE over pixels.

// Channels c ... c + W - 1 of a row, -infinity for pads.
static inline floatW logits(__global const float *x, int c, int C) {
    return select((floatW)(-INFINITY), VLOAD(0, x + c), (intW)(c) + AS_INTW(LANE_INDEX) < (intW)(C));
}

static inline float log_sum_exp(__global const float *x, int C) {
    floatW top = logits(x, 0, C), sum = 0.0f;
    for (int c = W; c < C; c += W) top = fmax(top, logits(x, c, C));
    const float highest = horizontal_max(top);
    for (int c = 0; c < C; c += W) sum += exp(logits(x, c, C) - highest);
    return highest + log(horizontal_sum(sum));
}

__kernel void loss_finish(__global const float *partial, __global float *loss, __global float *total, int count,
                          float bias, float sign) {
    GROUP_MEMORY
    ADD_PARTIALS(partial, count, sum, weight)
    if (get_local_id(0) != 0) return;
    store_scalar(loss, weight != 0.0f ? bias + sign * sum / weight : 0.0f);
    store_scalar(total, weight);
}

__kernel void crossentropy_partial(__global const float *x, __global const int *labels,
                                   __global const float *class_weights, __global float *partial, int pixels, int C,
                                   int CS, int ignore, int weighted) {
    GROUP_MEMORY
    float sum = 0.0f, weight = 0.0f;
    FOR_RANGE(i, pixels) {
        const int label = labels[i];
        if (label == ignore) continue;
        __global const float *row = x + (size_t)i * CS;
        const float w = weighted ? class_weights[label] : 1.0f;
        sum += w * (log_sum_exp(row, C) - row[label]);
        weight += w;
    }
    STORE_PARTIALS(partial, sum, weight)
}

__kernel void crossentropy_backward(__global const float *x, __global const int *labels,
                                    __global const float *class_weights, __global const float *total,
                                    __global const float *dloss, __global float *dx, int pixels, int C, int CS,
                                    int ignore, int weighted) {
    const float factor = total[0] != 0.0f ? dloss[0] / total[0] : 0.0f;
    FOR_RANGE(i, pixels) {
        const int label = labels[i];
        __global const float *row = x + (size_t)i * CS;
        __global float *out = dx + (size_t)i * CS;
        const float scale = label == ignore ? 0.0f : factor * (weighted ? class_weights[label] : 1.0f);
        const float normaliser = log_sum_exp(row, C);
        for (int c = 0; c < CS; c += W) {
            const floatW hit = select((floatW)(0.0f), (floatW)(1.0f), (intW)(c) + AS_INTW(LANE_INDEX) == (intW)(label));
            const floatW gradient = scale * (exp(logits(row, c, C) - normaliser) - hit);
            VSTORE(label == ignore ? (floatW)(0.0f) : gradient, 0, out + c);
        }
    }
}

static inline float3 normal_label(__global const float *v, int published) {
    const float3 raw = (float3)(v[0], v[1], v[2]);
    const float3 target = published ? raw.zyx : raw / 127.5f - 1.0f;
    return target / fmax(sqrt(dot(target, target)), 1e-12f);
}

static inline int normal_valid(__global const float *v) { return fmax(fmax(v[0], v[1]), v[2]) < 255.0f; }

__kernel void cosine_partial(__global const float *x, __global const float *labels, __global float *partial,
                             int pixels, int CS, int published) {
    GROUP_MEMORY
    float sum = 0.0f, weight = 0.0f;
    FOR_RANGE(i, pixels) {
        if (!normal_valid(labels + 3 * (size_t)i)) continue;
        __global const float *row = x + (size_t)i * CS;
        const float3 p = (float3)(row[0], row[1], row[2]);
        sum += dot(p / fmax(sqrt(dot(p, p)), 1e-12f), normal_label(labels + 3 * (size_t)i, published));
        weight += 1.0f;
    }
    STORE_PARTIALS(partial, sum, weight)
}

__kernel void cosine_backward(__global const float *x, __global const float *labels, __global const float *total,
                              __global const float *dloss, __global float *dx, int pixels, int CS, int published) {
    const float factor = total[0] != 0.0f ? -dloss[0] / total[0] : 0.0f;
    FOR_RANGE(i, pixels) {
        __global const float *row = x + (size_t)i * CS;
        __global float *out = dx + (size_t)i * CS;
        float3 g = (float3)(0.0f);
        if (normal_valid(labels + 3 * (size_t)i)) {
            const float3 p = (float3)(row[0], row[1], row[2]);
            const float length_p = sqrt(dot(p, p)), divisor = fmax(length_p, 1e-12f);
            const float3 unit = p / divisor, target = normal_label(labels + 3 * (size_t)i, published);
            const float along = length_p > 1e-12f ? dot(unit, target) : 0.0f;
            g = factor * (target - along * unit) / divisor;
        }
        out[0] = g.x;
        out[1] = g.y;
        out[2] = g.z;
        for (int c = 3; c < CS; ++c) out[c] = 0.0f;
    }
}

static inline int depth_valid(float g, int rule) { return rule == 0 ? g > 3e-5f : g != 255.0f; }

__kernel void l1_partial(__global const float *x, __global const float *labels, __global float *partial, int pixels,
                         int CS, int rule) {
    GROUP_MEMORY
    float sum = 0.0f, weight = 0.0f;
    FOR_RANGE(i, pixels) {
        if (!depth_valid(labels[i], rule)) continue;
        sum += fabs(x[(size_t)i * CS] - labels[i]);
        weight += 1.0f;
    }
    STORE_PARTIALS(partial, sum, weight)
}

__kernel void l1_backward(__global const float *x, __global const float *labels, __global const float *total,
                          __global const float *dloss, __global float *dx, int pixels, int CS, int rule) {
    const float factor = total[0] != 0.0f ? dloss[0] / total[0] : 0.0f;
    FOR_RANGE(i, pixels) {
        const float difference = x[(size_t)i * CS] - labels[i];
        dx[(size_t)i * CS] = depth_valid(labels[i], rule) ? factor * sign(difference) : 0.0f;
        for (int c = 1; c < CS; ++c) dx[(size_t)i * CS + c] = 0.0f;
    }
}

// y = sum of weight_i loss_i, one launch per term, in order.
__kernel void weighted_sum(__global const float *a, __global float *y, float weight, int first) {
    store_scalar(y, first ? weight * a[0] : fma(weight, a[0], y[0]));
}

// Keeps the first (step + 1, task) whose loss is not finite; every update is gated by flag[0] == 0.
__kernel void finite_check(__global const float *loss, __global int *flag, __global const uint *step, int task) {
    if (flag[0] == 0 && !isfinite(loss[0])) {
        flag[0] = (int)step[STEP_INDEX] + 1;
        flag[1] = task;
    }
}
