// What an objective makes of the tasks' losses: scalars, one work-item each.
//
//   objective_weighted        y = y + scale w[task] L      (first: y = ...), w set by the host with each step
//   objective_weighted_back   dL = scale w[task] dy
//   objective_uncertain       y = c exp(-s) L + h s        (Kendall, Gal, Cipolla 2018; s = log variance)
//   objective_uncertain_back  dL = c exp(-s) dy;  ds = (h - c exp(-s) L) dy;  h = 1/2 for a whole batch
//   objective_logs            sum = sum + log(L), n = n + 1 where L > 0   (first: from 0)
//   objective_exp             y = exp(sum / n), the geometric mean of the losses above 0; 0 where there is none
//   objective_geometric_back  dL = y dy / (n L); 0 where L is not above 0
//   objective_accumulate      sums[2 task] += L;  sums[2 task + 1] += 1, unless the non-finite flag is set

__kernel void objective_weighted(__global const float *loss, __global const float *weights, __global float *y,
                                 int task, float scale, int first) {
    const float weight = scale * weights[task];
    store_scalar(y, first ? weight * loss[0] : fma(weight, loss[0], y[0]));
}

__kernel void objective_weighted_back(__global const float *weights, __global const float *dy, __global float *dloss,
                                      int task, float scale) {
    store_scalar(dloss, scale * weights[task] * dy[0]);
}

__kernel void objective_uncertain(__global const float *loss, __global const float *s, __global float *y, float c,
                                  float h) {
    store_scalar(y, c * exp(-s[0]) * loss[0] + h * s[0]);
}

__kernel void objective_uncertain_back(__global const float *loss, __global const float *s, __global const float *dy,
                                       __global float *dloss, __global float *ds, float c, float h) {
    const float precision = c * exp(-s[0]);
    store_scalar(dloss, precision * dy[0]);
    store_scalar(ds, (h - precision * loss[0]) * dy[0]);
}

__kernel void objective_logs(__global const float *loss, __global float *sum, __global float *count, int first) {
    const int counts = loss[0] > 0.0f || isnan(loss[0]);
    store_scalar(sum, (first ? 0.0f : sum[0]) + (counts ? log(loss[0]) : 0.0f));
    store_scalar(count, (first ? 0.0f : count[0]) + (counts ? 1.0f : 0.0f));
}

__kernel void objective_exp(__global float *y, __global const float *count) {
    store_scalar(y, count[0] > 0.0f ? exp(y[0] / count[0]) : 0.0f);
}

__kernel void objective_geometric_back(__global const float *loss, __global const float *y,
                                       __global const float *count, __global const float *dy,
                                       __global float *dloss) {
    store_scalar(dloss, loss[0] > 0.0f ? y[0] / (count[0] * loss[0]) * dy[0] : 0.0f);
}

__kernel void objective_accumulate(__global const float *loss, __global float *sums, __global const int *flag,
                                   int task) {
    if (flag[0] != 0) return;
    sums[2 * task] += loss[0];
    sums[2 * task + 1] += 1.0f;
}
