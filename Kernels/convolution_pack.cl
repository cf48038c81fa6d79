// Packs canonical weights [R][S][C][KS] for the convolution kernels; missing channels become zeros.
//
//   pack 0, forward:         out[kt][r][s][c][j] = w[r][s][c][kt*KT + j]
//   pack 1, input gradient:  out[ct][r][s][k][j] = w[R-1-r][S-1-s][ct*KT + j][k]     (flipped, channels exchanged)
//
// The same formula serves both kernel families: the GPU family packs with one tile, KT = stored channels.
// Layout: CPU: one work-item per (tile, r*S+s), 16 x 16 weights at a time; GPU: one per row of KT floats: (tile, r*S+s, inner
// channel).

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
            __attribute__((opencl_unroll_hint))
            for (int i = 0; i < 16; ++i) rows[i] = outer + i < C ? vload16(0, from + (size_t)i * KS + k) : (float16)(0.0f);
            TRANSPOSE(rows)
            __attribute__((opencl_unroll_hint))
            for (int i = 0; i < 16; ++i)
                if (k + i < K) vstore16(rows[i], 0, to + (size_t)(k + i) * KT + j);
        }
    }
}
#else
__kernel void convolution_pack(__global const float *w, __global float *out, int R, int S, int C, int K, int KS,
                               int KT, int flipped) {
    const int tile = (int)get_global_id(0), tap = (int)get_global_id(1), inner = (int)get_global_id(2);
    const int depth = flipped ? K : C, width = flipped ? C : K;
    __global float *row = out + (((size_t)tile * R * S + tap) * depth + inner) * KT;
    for (int j = 0; j < KT; ++j) {
        const int outer = tile * KT + j;
        const size_t source = flipped ? ((size_t)(R * S - 1 - tap) * C + outer) * KS + inner
                                      : ((size_t)tap * C + inner) * KS + outer;
        row[j] = outer < width ? w[source] : 0.0f;
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
