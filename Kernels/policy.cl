// The select-or-skip policy. logits z: [L, 2], column 0 = select, 1 = skip, row stride 16.
//
//   gumbel_forward   v = softmax((log softmax(z) + G) / temperature), G = -log(-log u); straight-through: one-hot of v
//                    soft [L, 2] keeps the soft v for the gradient
//   gumbel_backward  dz from dv through the soft v (the gradient of both forms)
//   sparsity         form 0, paper:     sum over open blocks of log alpha
//                    form 1, published: mean over open blocks of -log(1 - alpha), weighted 2l/L if `layered`
//   sharing          over pairs of tasks; form 0, paper: sum (L-l)/L |alpha1 - alpha2|;
//                    form 1, published: sum l/L |z1 - z2| on raw select logits.   l = 1 ... L
//   cost_alphas      alpha of one task into row `task` of a [T, L] table; blocks before `first` count as selected
//   expected_cost    E = expected cost under independent decisions, as a share of selecting everything;
//                    loss = |E - budget|
//   expected_cost_alphas  dE/dalpha x sign(E - budget) for every task and block;  expected_cost_logits: on to dz
//
// Expected cost. c_l = cost of block l as a share of all blocks, T tasks.
//   form 0, passes: E = 1/T sum_k sum_l c_l alpha(l,k)
//   form 1, shared: a block is paid for once per image and distinct history of decisions below it. By inclusion and
//     exclusion over sets S of tasks of one image, of G images,
//     E = 1/G sum_S (-1)^(|S|+1) R_S(1),  R_S(l) = c_l s_S(l) + q_S(l) R_S(l+1),  with
//     s_S = prod alpha (all select),  q_S = prod alpha + prod (1 - alpha) (all do the same).
//   The number of each task's image, from 0, has 4 bits, of tasks 0 to 7 in images.x, of the others in images.y; G is
//   images.z.
//
// alpha = softmax(z)[select]. Layout: gumbel one work-item per block; the regularisers one work-item in all.

static inline float log_alpha(float select_logit, float skip_logit) {
    // log softmax without overflow: -log(1 + exp(skip - select)).
    const float d = skip_logit - select_logit;
    return -(fmax(d, 0.0f) + log1p(exp(-fabs(d))));
}

static inline float alpha(float select_logit, float skip_logit) { return exp(log_alpha(select_logit, skip_logit)); }

__kernel void gumbel_forward(__global const float *z, __global const float *u, __global const float *step,
                             __global float *v, __global float *soft, int straight_through) {
    const int l = (int)get_global_id(0);
    const float temperature = step[STEP_TEMPERATURE];
    const float a = log_alpha(z[l * 16], z[l * 16 + 1]) - log(-log(u[l * 16]));
    const float b = log_alpha(z[l * 16 + 1], z[l * 16]) - log(-log(u[l * 16 + 1]));
    const float select_weight = alpha(a / temperature, b / temperature);
    const float skip_weight = alpha(b / temperature, a / temperature);
    for (int c = 0; c < 16; ++c) v[l * 16 + c] = soft[l * 16 + c] = 0.0f;
    soft[l * 16] = select_weight;
    soft[l * 16 + 1] = skip_weight;
    v[l * 16] = straight_through ? (select_weight >= skip_weight ? 1.0f : 0.0f) : select_weight;
    v[l * 16 + 1] = straight_through ? (select_weight >= skip_weight ? 0.0f : 1.0f) : skip_weight;
}

__kernel void gumbel_backward(__global const float *z, __global const float *soft, __global const float *dv,
                              __global const float *step, __global float *dz) {
    const int l = (int)get_global_id(0);
    const float slope = soft[l * 16] * soft[l * 16 + 1] * (dv[l * 16] - dv[l * 16 + 1]) / step[STEP_TEMPERATURE];
    // d(log alpha_select - log alpha_skip) / dz_select = 1: the softmax normaliser cancels in the difference.
    for (int c = 0; c < 16; ++c) dz[l * 16 + c] = 0.0f;
    dz[l * 16] = slope;
    dz[l * 16 + 1] = -slope;
}

__kernel void sparsity(__global const float *z, __global float *loss, int L, int first, int form, int layered) {
    float sum = 0.0f;
    for (int l = first; l < L; ++l) {
        const float weight = layered ? 2.0f * (float)(l + 1) / (float)L : 1.0f;
        sum += form == 0 ? log_alpha(z[l * 16], z[l * 16 + 1]) : -weight * log_alpha(z[l * 16 + 1], z[l * 16]);
    }
    store_scalar(loss, form == 0 ? sum : sum / (float)(L - first));
}

__kernel void sparsity_backward(__global const float *z, __global const float *dloss, __global float *dz, int L,
                                int first, int form, int layered) {
    for (int i = 0; i < L * 16; ++i) dz[i] = 0.0f;
    for (int l = first; l < L; ++l) {
        const float weight = layered ? 2.0f * (float)(l + 1) / (float)L : 1.0f;
        const float slope = form == 0 ? alpha(z[l * 16 + 1], z[l * 16])
                                      : weight * alpha(z[l * 16], z[l * 16 + 1]) / (float)(L - first);
        dz[l * 16] = dloss[0] * slope;
        dz[l * 16 + 1] = -dloss[0] * slope;
    }
}

// One pair of tasks; the tasks' pairs are summed by the graph.
__kernel void sharing(__global const float *z1, __global const float *z2, __global float *loss, int L, int form) {
    float sum = 0.0f;
    for (int l = 0; l < L; ++l) {
        const int i = l * 16;
        if (form == 0)
            sum += (float)(L - 1 - l) / (float)L * fabs(alpha(z1[i], z1[i + 1]) - alpha(z2[i], z2[i + 1]));
        else
            sum += (float)(l + 1) / (float)L * fabs(z1[i] - z2[i]);
    }
    store_scalar(loss, sum);
}

__kernel void sharing_backward(__global const float *z1, __global const float *z2, __global const float *dloss,
                               __global float *dz1, __global float *dz2, int L, int form) {
    for (int i = 0; i < L * 16; ++i) dz1[i] = dz2[i] = 0.0f;
    for (int l = 0; l < L; ++l) {
        const int i = l * 16;
        if (form == 0) {
            const float a1 = alpha(z1[i], z1[i + 1]), a2 = alpha(z2[i], z2[i + 1]);
            const float slope = dloss[0] * (float)(L - 1 - l) / (float)L * sign(a1 - a2);
            const float slope1 = slope * a1 * alpha(z1[i + 1], z1[i]), slope2 = slope * a2 * alpha(z2[i + 1], z2[i]);
            dz1[i] = slope1;
            dz1[i + 1] = -slope1;
            dz2[i] = -slope2;
            dz2[i + 1] = slope2;
        } else {
            const float slope = dloss[0] * (float)(l + 1) / (float)L * sign(z1[i] - z2[i]);
            dz1[i] = slope;
            dz2[i] = -slope;
        }
    }
}

__kernel void cost_alphas(__global const float *z, __global float *table, int L, int task, int first) {
    const int l = (int)get_global_id(0);
    table[task * L + l] = l < first ? 1.0f : alpha(z[l * 16], z[l * 16 + 1]);
}

// prod alpha and prod (1 - alpha) over the tasks of set `tasks` (a bit mask) without task `without`.
static inline void agreement(__global const float *table, int L, int T, int l, int tasks, int without, float *all,
                             float *none) {
    *all = *none = 1.0f;
    for (int k = 0; k < T; ++k) {
        if (!(tasks >> k & 1) || k == without) continue;
        *all *= table[k * L + l];
        *none *= 1.0f - table[k * L + l];
    }
}

// Whether the tasks of a set are all given the same image.
static inline bool same_image(int tasks, int4 images) {
    int first = -1;
    for (int k = 0; k < 12; ++k) {
        if (!(tasks >> k & 1)) continue;
        const int image = (k < 8 ? images.x >> 4 * k : images.y >> 4 * (k - 8)) & 15;
        if (first >= 0 && image != first) return false;
        first = image;
    }
    return true;
}

// E for one set of tasks; rest[l] = R_S(l), rest[L] = 0.
static inline float shared_cost(__global const float *table, __global const float *costs, __global float *rest, int L,
                                int T, int tasks) {
    rest[L] = 0.0f;
    for (int l = L - 1; l >= 0; --l) {
        float all, none;
        agreement(table, L, T, l, tasks, -1, &all, &none);
        rest[l] = fma(costs[l], all, (all + none) * rest[l + 1]);
    }
    return rest[0];
}

static inline float cost_share(__global const float *table, __global const float *costs, __global float *rest, int L,
                               int T, int form, int4 images) {
    float sum = 0.0f;
    if (form == 0) {
        for (int k = 0; k < T; ++k)
            for (int l = 0; l < L; ++l) sum = fma(costs[l], table[k * L + l], sum);
        return sum / (float)T;
    }
    for (int tasks = 1; tasks < 1 << T; ++tasks)
        if (same_image(tasks, images))
            sum += (popcount(tasks) & 1 ? 1.0f : -1.0f) * shared_cost(table, costs, rest, L, T, tasks);
    return sum / (float)images.z;
}

// work: [T, L] alphas, then L + 1 floats.
__kernel void expected_cost(__global float *work, __global const float *costs, __global const float *step,
                            __global float *loss, int L, int T, int form, int4 images) {
    store_scalar(loss, fabs(cost_share(work, costs, work + T * L, L, T, form, images) - step[STEP_BUDGET]));
}

// work: [T, L] alphas, L + 1 floats, then [T, L] for dloss/dalpha.
__kernel void expected_cost_alphas(__global float *work, __global const float *costs, __global const float *step,
                                   __global const float *dloss, int L, int T, int form, int4 images) {
    __global float *rest = work + T * L, *slopes = rest + L + 1;
    const float direction = dloss[0] * sign(cost_share(work, costs, rest, L, T, form, images) - step[STEP_BUDGET]);
    for (int k = 0; k < T; ++k)
        for (int l = 0; l < L; ++l) slopes[k * L + l] = form == 0 ? direction * costs[l] / (float)T : 0.0f;
    for (int tasks = 1; tasks < 1 << T && form == 1; ++tasks) {
        if (!same_image(tasks, images)) continue;
        const float weight = (popcount(tasks) & 1 ? 1.0f : -1.0f) * direction / (float)images.z;
        shared_cost(work, costs, rest, L, T, tasks);
        float reached = 1.0f;
        for (int l = 0; l < L; ++l) {
            float all, none;
            for (int k = 0; k < T; ++k) {
                if (!(tasks >> k & 1)) continue;
                agreement(work, L, T, l, tasks, k, &all, &none);
                slopes[k * L + l] += weight * reached * fma(costs[l], all, (all - none) * rest[l + 1]);
            }
            agreement(work, L, T, l, tasks, -1, &all, &none);
            reached *= all + none;
        }
    }
}

__kernel void expected_cost_logits(__global const float *z, __global const float *work, __global float *dz, int L,
                                   int T, int task, int first) {
    const int l = (int)get_global_id(0);
    const float a = work[task * L + l], slope = l < first ? 0.0f : work[T * L + L + 1 + task * L + l];
    for (int c = 0; c < 16; ++c) dz[l * 16 + c] = 0.0f;
    dz[l * 16] = slope * a * alpha(z[l * 16 + 1], z[l * 16]);
    dz[l * 16 + 1] = -dz[l * 16];
}
