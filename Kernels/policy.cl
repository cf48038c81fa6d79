// The select-or-skip policy. logits z: [L, 2], column 0 = select, 1 = skip, row stride 16.
//
//   gumbel_forward   v = softmax((log softmax(z) + G) / temperature), G = -log(-log u); straight-through: one-hot of v
//                    soft [L, 2] keeps the soft v for the gradient
//   gumbel_backward  dz from dv through the soft v (the gradient of both forms)
//   sparsity         form 0, paper:     sum over open blocks of log alpha
//                    form 1, published: mean over open blocks of -log(1 - alpha), weighted 2l/L if `layered`
//   sharing          over pairs of tasks; form 0, paper: sum (L-l)/L |alpha1 - alpha2|;
//                    form 1, published: sum l/L |z1 - z2| on raw select logits.   l = 1 ... L
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
