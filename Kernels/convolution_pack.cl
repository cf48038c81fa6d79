// Packs canonical weights [R][S][C][KS] for the convolution kernels; missing channels become zeros.
//
//   pack 0, forward:         out[kt][r][s][c][j] = w[r][s][c][kt*KT + j]
//   pack 1, input gradient:  out[ct][r][s][k][j] = w[R-1-r][S-1-s][ct*KT + j][k]     (flipped, channels exchanged)
//
// The same formula serves both kernel families: the GPU family packs with one tile, KT = stored channels.
// Layout: one work-item per row of KT floats: (tile, r*S+s, inner channel).

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
