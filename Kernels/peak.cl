// The most multiply-adds a device does when nothing comes from memory: what kernels are measured against.
//
// Work-item: CHAINS independent sums of one vector each, enough to hide the latency of a multiply-add, and few enough
// for the registers.
// Layout: any range; `out` holds one float per work-item, so that nothing is optimised away.

#ifndef CHAINS
#define CHAINS 12
#endif

__kernel void fma_peak(__global float *out, int rounds, float factor) {
    floatW acc[CHAINS];
    UNROLLED
    for (int i = 0; i < CHAINS; ++i) acc[i] = (floatW)((float)i + (float)get_global_id(0));
    const floatW a = (floatW)(factor), b = (floatW)(1.0f - factor);
    for (int round = 0; round < rounds; ++round) {
        UNROLLED
        for (int i = 0; i < CHAINS; ++i) acc[i] = fma(acc[i], a, b);
    }
    floatW sum = acc[0];
    UNROLLED
    for (int i = 1; i < CHAINS; ++i) sum += acc[i];
    out[get_global_id(0)] = horizontal_sum(sum);
}
