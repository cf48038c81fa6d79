// Packs canonical weights [R][S][C][KS] for the convolution kernels; missing channels become zeros.
//
//   pack 0, forward:         out[kt][r][s][c][j] = w[r][s][c][kt*KT + j]
//   pack 1, input gradient:  out[ct][r][s][k][j] = w[R-1-r][S-1-s][ct*KT + j][k]     (flipped, channels exchanged)
//
// The same formula serves both kernel families: the GPU family packs with one tile, KT = stored channels, and in
// bfloat16 where OPERAND16 is 1.
// Layout: CPU: one work-item per (tile, r*S+s), 16 x 16 weights at a time. GPU: forward, FOR_RANGE over vectors; input
// gradient, groups of 16 x 16 weights of a tap, which change places in local memory: (K, KT in steps of 16, tap).

#if CPU_FAMILY
__kernel void convolution_pack(__global const float *w, __global float *out, int R, int S, int C, int K, int KS,
                               int KT, int flipped) {
    const int tile = (int)get_global_id(0), tap = (int)get_global_id(1), depth = flipped ? K : C;
    __global float *to = out + ((size_t)tile * R * S + tap) * depth * KT;
    for (int j = 0; j < KT; j += 16) {
        const int outer = tile * KT + j;
        if (!flipped) {
            for (int c = 0; c < C; ++c)
                vstore16(vload16(0, w + ((size_t)tap * C + c) * KS + outer), 0, to + (size_t)c * KT + j);
            continue;
        }
        __global const float *from = w + ((size_t)(R * S - 1 - tap) * C + outer) * KS;
        for (int k = 0; k < K; k += 16) {
            float16 rows[16];
            UNROLLED
            for (int i = 0; i < 16; ++i)
                rows[i] = outer + i < C ? vload16(0, from + (size_t)i * KS + k) : (float16)(0.0f);
            TRANSPOSE(rows)
            UNROLLED
            for (int i = 0; i < 16; ++i)
                if (k + i < K) vstore16(rows[i], 0, to + (size_t)(k + i) * KT + j);
        }
    }
}
#else
#ifndef OPERAND16
#define OPERAND16 0
#endif
#if OPERAND16
typedef ushort packed_value;
#else
typedef float packed_value;
#endif

#if OPERAND16
__kernel void convolution_pack(__global const float *w, __global ushort *out, int n) {
    FOR_RANGE(i, n) { ((__global ushort4 *)out)[i] = narrow(VLOAD(i, w)); }
}
#endif

__kernel __attribute__((reqd_work_group_size(16, 16, 1)))
void convolution_pack_flipped(__global const float *w, __global packed_value *out, int R, int S, int C, int K, int KS,
                              int KT) {
    __local float tile[16][17];
    const int i = (int)get_local_id(0), j = (int)get_local_id(1), tap = (int)get_group_id(2);
    const int k0 = (int)get_group_id(0) * 16, c0 = (int)get_group_id(1) * 16;
    tile[j][i] = c0 + j < C && k0 + i < K ? w[((size_t)(R * S - 1 - tap) * C + c0 + j) * KS + k0 + i] : 0.0f;
    barrier(CLK_LOCAL_MEM_FENCE);
    if (k0 + j < K) {
        __global packed_value *to = out + ((size_t)tap * K + k0 + j) * KT + c0 + i;
#if OPERAND16
        *to = narrow((float4)(tile[i][j])).x;
#else
        *to = tile[i][j];
#endif
    }
}
#endif

// y = epilogue(y + bias) in place: what follows a sum that another library made. `vectors` in a row, n in all.
__kernel void convolution_epilogue(__global float *y, __global const float *bias, __global const float *scale,
                                   __global const float *shift, __global const float *residual, int n, int vectors,
                                   int flags) {
    FOR_CHANNELS(i, v, n, vectors) {
        const floatW sum = VLOAD(i, y) + (flags & HAS_BIAS ? VLOAD(v, bias) : (floatW)(0.0f));
        VSTORE(epilogue(sum, scale + v * W, shift + v * W, residual + (size_t)i * W, flags), i, y);
    }
}
