// Whether the device's compiler takes MMA_TF32, and what it computes: sums[16][8] =
// left[16][8] right[8][8] of operands that TensorFloat-32 represents, everything row by row. One group of 32 items.
__kernel __attribute__((reqd_work_group_size(32, 1, 1)))
void matrix_units(__global const float *left, __global const float *right, __global float *sums) {
    const int lane = (int)get_local_id(0), g = lane / 4, t = lane % 4;
    float c0 = 0.0f, c1 = 0.0f, c2 = 0.0f, c3 = 0.0f;
    MMA_TF32(c0, c1, c2, c3, left[8 * g + t], left[8 * (g + 8) + t], left[8 * g + t + 4], left[8 * (g + 8) + t + 4],
             right[8 * t + g], right[8 * (t + 4) + g]);
    sums[8 * g + 2 * t] = c0;
    sums[8 * g + 2 * t + 1] = c1;
    sums[8 * (g + 8) + 2 * t] = c2;
    sums[8 * (g + 8) + 2 * t + 1] = c3;
}
