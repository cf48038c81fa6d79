// Convolution for CPUs whose registers hold fewer than 16 floats: weights stay in the first-level cache, pixels in the
// second.
//
// The index formula is that of convolution_cpu.cl, and so are the sums, term by term: the bits are the same.
//
// A work-item has `span` neighbouring output pixels, at most PIXELS, and `group` tiles of KT = 16 KV output channels.
// For each tap it lists the pixels whose source is whole and inside the image, and copies DEPTH of their channels at a
// time side by side: rows of x may lie a multiple of 4 kB apart, and then share lines of both caches. Panels of 16 kB,
// DEPTH input x KT output channels, or more tiles of fewer input channels, are read once and stay, while PT listed
// pixels at a time, whichever they are, walk under them, 16 channels in turn:
//   acc[PT] += x[pixel][c] * w[c][16]           PT broadcasts and two registers of weights for 2 PT multiply-adds
// Between panels the sums wait in `sums`; where every pixel has one tap, they start and end in registers. Pixels
// outside the image cost nothing, and no row has a remainder.
//
// Layout: global (groups of channel tiles, groups of pixels), neighbours share pixels. Weights [K/KT][R][S][C][KT].
// Tunables: PT, as many vectors of 16 floats as registers hold beside the operands; KV 1 or 2.

#ifndef PT
#define PT 6
#endif
#ifndef KV
#define KV 2
#endif
#define KT (16 * KV)
#define DEPTH (256 / KV)
// The most pixels of a work-item, the most tiles of channels where sums wait, and where sums go that nobody asked for.
#ifndef PIXELS
#define PIXELS 96
#endif
#ifndef TILES
#define TILES 8
#endif
#define SPARE PIXELS

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void convolution_panels(__global const float *restrict x, __global const float *restrict w,
                        __global const float *bias, __global const float *scale, __global const float *shift,
                        __global const float *residual, __global float *y, int H, int Wd, int C, int XS, int P, int Q,
                        int YS, int R, int S, int STR, int DIL, int PAD, int DIV, int flags, int group, int span,
                        int total) {
    const int start = (int)get_global_id(1) * span, end = min(start + span, total);
    const int begin_kt = (int)get_global_id(0) * group, end_kt = min(begin_kt + group, YS / KT);
    const bool has_one_tap = R * S == 1 && PAD == 0 && DIV == 1;
    float copies[PIXELS + PT][DEPTH], sums[TILES][PIXELS + 1][KT];
    __global const float *source[PIXELS + PT];
    int target[PIXELS + PT];

    for (int kt = begin_kt; kt < end_kt && !has_one_tap; ++kt)
        for (int v = 0; v < KV; ++v) {
            const float16 first = flags & HAS_BIAS ? vload16(kt * KV + v, bias) : (float16)(0.0f);
            for (int i = 0; i < end - start; ++i) vstore16(first, v, sums[kt - begin_kt][i]);
        }

    for (int tap = 0; tap < R * S; ++tap) {
        const int down = tap / S * DIL - PAD, right = tap % S * DIL - PAD;
        // Columns q0, q0 + DIV, ... q1 - 1 of y have a source among those of x.
        int q0 = right < 0 ? (-right + STR - 1) / STR : 0;
        while ((q0 * STR + right) % DIV != 0) ++q0;
        const int q1 = min(Q, (Wd * DIV - right + STR - 1) / STR);
        int count = 0;
        for (int row = start / Q; row * Q < end; ++row) {
            const int above = row % P * STR + down;
            if (above < 0 || above % DIV != 0 || above / DIV >= H) continue;
            int q = q0;
            if (row * Q + q < start) q += (start - row * Q - q + DIV - 1) / DIV * DIV;
            const int stop = min(q1, end - row * Q);
            __global const float *from =
                x + ((ptrdiff_t)(row / P * H + above / DIV) * Wd + (q * STR + right) / DIV) * XS;
            for (; q < stop; q += DIV, from += STR * XS, ++count) {
                source[count] = from;
                target[count] = row * Q + q - start;
            }
        }
        if (count == 0) continue;
        for (int i = count; i % PT != 0; ++i) {
            source[i] = source[count - 1];
            target[i] = SPARE;
        }

        for (int c0 = 0, depth; c0 < C; c0 += depth) {
            depth = min(DEPTH, C - c0);
            const bool starts = has_one_tap && c0 == 0, ends = has_one_tap && c0 + depth == C;
            // Stored channels are a multiple of 16, but for images.
            for (int i = 0; i < count || i % PT != 0; ++i) {
                if (c0 == 0 && i + PT < count) PREFETCH(source[i + PT], depth)
                int c = 0;
                for (; c + 16 <= depth; c += 16) vstore16(vload16(0, source[i] + c0 + c), 0, copies[i] + c);
                for (; c < depth; ++c) copies[i][c] = source[i][c0 + c];
            }

            const int step = max(1, DEPTH / depth);
            for (int first_kt = begin_kt; first_kt < end_kt; first_kt += step) {
                const int last_kt = min(first_kt + step, end_kt);
                __global const float *panel = w + ((size_t)(first_kt * R * S + tap) * C + c0) * KT;
                const size_t to_next = (size_t)R * S * C * KT;
                // A share of the next panel for each step of pixels, and their next channels.
                const int ahead = step == 1 && last_kt < end_kt ? depth * KT / ((count + PT - 1) / PT) / 16 * 16 : 0;
                for (int i = 0; i < count; i += PT) {
                    PREFETCH(panel + to_next + i / PT * ahead, ahead)
                    for (int j = i; j < i + PT && first_kt == begin_kt; ++j)
                        PREFETCH(source[j] + c0 + depth, min(DEPTH, C - c0 - depth))
                    for (int kt = first_kt; kt < last_kt; ++kt)
                        for (int v = 0; v < KV; ++v) {
                            __global const float *wp = panel + (kt - first_kt) * to_next + 16 * v;
                            const float *xp = copies[i];
                            float16 acc[PT];
                            if (starts) {
                                const float16 first = flags & HAS_BIAS ? vload16(kt * KV + v, bias) : (float16)(0.0f);
                                UNROLLED
                                for (int j = 0; j < PT; ++j) acc[j] = first;
                            } else {
                                UNROLLED
                                for (int j = 0; j < PT; ++j) acc[j] = vload16(v, sums[kt - begin_kt][target[i + j]]);
                            }
                            for (int c = 0; c < depth; ++c, wp += KT) {
                                const float16 weights = vload16(0, wp);
                                UNROLLED
                                for (int j = 0; j < PT; ++j)
                                    acc[j] = fma((float16)(xp[j * DEPTH + c]), weights, acc[j]);
                            }
                            if (ends) {
                                const int k = kt * KT + 16 * v;
                                UNROLLED
                                for (int j = 0; j < PT; ++j) {
                                    if (i + j >= count) continue;
                                    const size_t o = (size_t)(start + i + j) * YS + k;
                                    vstore16(epilogue(acc[j], scale + k, shift + k, residual + o, flags), 0, y + o);
                                }
                            } else {
                                UNROLLED
                                for (int j = 0; j < PT; ++j) vstore16(acc[j], v, sums[kt - begin_kt][target[i + j]]);
                            }
                        }
                }
            }
        }
    }
    if (has_one_tap) return;

    for (int i = 0; i < end - start; ++i)
        for (int k = begin_kt * KT; k < end_kt * KT; k += 16) {
            const size_t o = (size_t)(start + i) * YS + k;
            const float16 sum = vload16(k % KT / 16, sums[k / KT - begin_kt][i]);
            vstore16(epilogue(sum, scale + k, shift + k, residual + o, flags), 0, y + o);
        }
}
