// Winograd's minimal filtering F(m, 3) along both axes: m + 2 products where the direct sum needs 3 m.
//
//   Y = A' [ sum_c (G g G') . (B' d B) ] A          d: pixels, g: 3 x 3 weights, Y: MR x MC pixels, products in ER x EC
//   places
//
// B, G and A follow from polynomials through m + 1 points and infinity (Lavin and Gray 2015, arXiv:1509.09308): 0, +-1
// for m = 2, 0, +-1, 2 for m = 3 and 0, +-1, +-1/2, 2 for m = 5. For m = 4 they are 0, +-a, +-b with a b = 1, a =
// sqrt(1/2) instead of the usual 1 and 2: powers of the points stay closer to 1, and the rounding error is smaller.
//
// Dilation D splits an image into D x D phases of pixels D apart; each is a convolution of its own without dilation, so
// the pixels of a tile lie D apart and nothing else changes. Where a phase is as short as one or two pixels, all
// neighbours are padding, and 1 and 3 products do.
//
// The weight gradient is the adjoint, of the same cost:
//
//   dg = G' [ sum_t (B' d B) . (A dY A') ] G
//
// A pass is a sequence of launches over chunks of `T` tiles from `tile` on and slices of `KS` output channels from
// `first` on, with one scratch buffer of which V, U and M have a part each, `*_at` floats from its start:
//   winograd_input    V[e][t][c]       e = 0...ER EC - 1 the place in the tile, t the tile, c the input channel
//   winograd_weights  U[e][k/32][c][k%32]
//   winograd_products M[e][t][k] = sum_c V[e][t][c] U[e][c][k]
//   winograd_output   y
// where U may be a buffer of its own, of all output channels; and for the weight gradient, over slices of both kinds
// of channels,
//   winograd_input             V[e][c/8][t][c%8]      (`blocked`)
//   winograd_output_gradient   Z[e][k/32][t][k%32]
//   winograd_weight_products   U[e][c][k] = sum_t V[e][t][c] Z[e][t][k], added to U but for the first chunk
//   winograd_weight_gradient   dw, added to it where `accumulate`
// The stride from e to e + 1 is one vector more than its data: streams a power of two apart would share cache sets.
//
// The products, which know nothing of tiles, are in convolution_winograd_products_cpu.cl and, for GPUs, in
// convolution_winograd_products_gpu.cl.
//
// Tunables: ER, EC: 1, 3, 4, 5, 6 or 7 places along each axis, for MR, MC = 1, 2, 2, 3, 4 or 5 pixels. On GPUs, VECTOR:
// 2 for tiles of 30 places and more, of whose vectors registers would not hold all.

#include "winograd_transforms.h"

#ifndef ER
#define ER 6
#endif
#ifndef EC
#define EC 6
#endif
#define OUTPUTS(places) ((places) > 3 ? (places) - 2 : ((places) + 1) / 2)
#define MR OUTPUTS(ER)
#define MC OUTPUTS(EC)
#if CPU_FAMILY
#define KERNEL __kernel __attribute__((reqd_work_group_size(1, 1, 1)))
#else
#define KERNEL __kernel __attribute__((reqd_work_group_size(8, 8, 1)))
#endif

// From tile to tile of V, as in convolution_winograd_products_cpu.cl.
#define PITCH(C) ((C) + 16)
// Channels of a work-item, its place among them, and its tile: neighbours share what CPUs have in a cache, or read side
// by side on GPUs, whose work-groups may reach beyond both.
#if CPU_FAMILY
#define CHANNELS 128
#define GROUP (int)get_global_id(1)
#define TILE (int)get_global_id(0)
#else
#define CHANNELS W
#define GROUP (int)get_global_id(0)
#define TILE (int)get_global_id(1)
#endif

// Loops around transforms along one axis. Unrolled they would be most of what there is to compile; the vectors between
// both axes are more than a CPU has registers and lie in its cache. On GPUs all of them are registers.
#if CPU_FAMILY
#define ROLLED __attribute__((opencl_unroll_hint(1)))
#else
#define ROLLED UNROLLED
#endif

// Tile t of an image batch: image n, and the output pixel (p, q) of its first element; its neighbours lie DIL apart.
// There are TY x TX tiles in each of the PY x PX phases from (OY, OX) on; a launch has T of them, from `tile` on.
#define TILES int TY, int TX, int PY, int PX, int OY, int OX, int tile, int T
#define LOCATE_TILE(t)                                                                             \
    if ((t) - tile >= T) return;                                                                   \
    const int tx = (t) % TX, px = (t) / TX % PX + OX, ty = (t) / (TX * PX) % TY;                   \
    const int py = (t) / (TX * PX * TY) % PY + OY, n = (t) / (TX * PX * TY * PY);                  \
    const int p = MR * ty * DIL + py, q = MC * tx * DIL + px;

// Channels first ... first + depth - 1 of x.
// Layout: one work-item per (tile, CHANNELS channels).
KERNEL
void winograd_input(__global const float *restrict x, __global const float *restrict zeros,
                    __global float *restrict scratch, int v_at, int H, int Wd, int C, int first, int depth, int PAD,
                    int DIL, TILES, int stride, int blocked) {
    const int t = TILE;
    LOCATE_TILE(tile + t)
    __global const float *source[(MR + 2) * (MC + 2)];
    ROLLED
    for (int i = 0; i < MR + 2; ++i)
        ROLLED
        for (int j = 0; j < MC + 2; ++j) {
            const int h = p + i * DIL - PAD, w = q + j * DIL - PAD;
            const int inside = h >= 0 && h < H && w >= 0 && w < Wd;
            source[(MC + 2) * i + j] = inside ? x + (((size_t)n * H + h) * Wd + w) * C + first : zeros;
        }
    const int end = min(depth, (GROUP + 1) * CHANNELS);
    for (int c = GROUP * CHANNELS; c < end; c += W) {
        floatW rows[ER][MC + 2];
        ROLLED
        for (int j = 0; j < MC + 2; ++j) {
            floatW d[MR + 2], column[ER];
            UNROLLED
            for (int i = 0; i < MR + 2; ++i) d[i] = VLOAD(0, source[(MC + 2) * i + j] + c);
            ALONG(INPUT_TRANSFORM_, ER)(d, column)
            UNROLLED
            for (int i = 0; i < ER; ++i) rows[i][j] = column[i];
        }
        const size_t at = blocked ? (size_t)(c / 8 * 8) * T + 8 * t + c % 8 : (size_t)t * PITCH(depth) + c;
        __global float *out = scratch + v_at + at;
        ROLLED
        for (int i = 0; i < ER; ++i) {
            floatW row[EC];
            ALONG(INPUT_TRANSFORM_, EC)(rows[i], row)
            UNROLLED
            for (int j = 0; j < EC; ++j) {
                __global float *to = out + (size_t)(EC * i + j) * stride;
#if CPU_FAMILY
                if (blocked) {
                    vstore8(row[j].lo, 0, to);
                    vstore8(row[j].hi, 0, to + 8 * T);
                    continue;
                }
#endif
                VSTORE(row[j], 0, to);
            }
        }
    }
}

// Canonical weights w[3][3][C][K] to U, in `scratch`, for output channels first, first + 1, ...; `flipped`: taps
// reversed and channels exchanged, for the input gradient, whose output channels are the C.
// Layout: one work-item per (W output channels, ROWS input channels).
#if CPU_FAMILY
#define ROWS 16
#else
#define ROWS 1
#if W == 2
#define STRIDED(p, step) ((float2)((p)[0], (p)[step]))
#else
#define STRIDED(p, step) ((float4)((p)[0], (p)[step], (p)[2 * (step)], (p)[3 * (step)]))
#endif
#endif
KERNEL
void winograd_weights(__global const float *restrict w, __global float *restrict scratch, int u_at, int C, int K,
                      int first, int stride, int flipped) {
    const int k = (int)get_global_id(0) * W, c = (int)get_global_id(1) * ROWS;
    floatW g[9][ROWS];
    ROLLED
    for (int tap = 0; tap < 9; ++tap) {
        // One place needs no other weights than its own.
        if ((ER == 1 && tap / 3 != 1) || (EC == 1 && tap % 3 != 1)) continue;
        const size_t at = flipped ? ((size_t)(8 - tap) * C + first + k) * K + c : ((size_t)tap * C + c) * K + first + k;
        __global const float *block = w + at;
#if CPU_FAMILY
        floatW rows[ROWS];
        UNROLLED
        for (int i = 0; i < ROWS; ++i) rows[i] = VLOAD(0, block + (size_t)i * K);
        if (flipped) { TRANSPOSE(rows) }
        UNROLLED
        for (int i = 0; i < ROWS; ++i) g[tap][i] = rows[i];
#else
        g[tap][0] = flipped ? STRIDED(block, K) : VLOAD(0, block);
#endif
    }
    const int depth = flipped ? K : C;
    ROLLED
    for (int i = 0; i < ROWS; ++i) {
        floatW rows[ER][3];
        ROLLED
        for (int s = 0; s < 3; ++s) {
            floatW column[ER];
            ALONG(WEIGHT_TRANSFORM_, ER)(g[s][i], g[3 + s][i], g[6 + s][i], column)
            UNROLLED
            for (int r = 0; r < ER; ++r) rows[r][s] = column[r];
        }
        __global float *out = scratch + u_at + ((size_t)(k / 32) * depth + c + i) * 32 + k % 32;
        ROLLED
        for (int r = 0; r < ER; ++r) {
            floatW row[EC];
            ALONG(WEIGHT_TRANSFORM_, EC)(rows[r][0], rows[r][1], rows[r][2], row)
            UNROLLED
            for (int s = 0; s < EC; ++s) VSTORE(row[s], 0, out + (size_t)(EC * r + s) * stride);
        }
    }
}

// Layout: one work-item per (tile, CHANNELS of the slice's channels).
KERNEL
void winograd_output(__global const float *restrict scratch, int m_at, __global const float *bias,
                     __global const float *scale, __global const float *shift, __global const float *residual,
                     __global float *y, int P, int Q, int K, int first, int KS, int DIL, TILES,
                     int stride, int flags) {
    const int t = TILE;
    LOCATE_TILE(tile + t)
    const int rows = min(MR, (P - p + DIL - 1) / DIL), columns = min(MC, (Q - q + DIL - 1) / DIL);
    const int end = min(KS, (GROUP + 1) * CHANNELS);
    for (int k = GROUP * CHANNELS; k < end; k += W) {
        __global const float *in = scratch + m_at + (size_t)t * KS + k;
        floatW half_way[MR][EC];
        ROLLED
        for (int j = 0; j < EC; ++j) {
            floatW d[ER], column[MR];
            UNROLLED
            for (int i = 0; i < ER; ++i) d[i] = VLOAD(0, in + (size_t)(EC * i + j) * stride);
            ALONG(OUTPUT_TRANSFORM_, ER)(d, column)
            UNROLLED
            for (int i = 0; i < MR; ++i) half_way[i][j] = column[i];
        }
        floatW start = 0.0f;
        if (flags & HAS_BIAS) start = VLOAD(0, bias + first + k);
        ROLLED
        for (int i = 0; i < MR; ++i) {
            floatW row[MC];
            ALONG(OUTPUT_TRANSFORM_, EC)(half_way[i], row)
            if (i >= rows) continue;
            const size_t at = (((size_t)n * P + p + i * DIL) * Q + q) * K + first + k;
            ROLLED
            for (int j = 0; j < MC; ++j) {
                if (j >= columns) continue;
                const size_t o = at + (size_t)j * DIL * K;
                VSTORE(epilogue(row[j] + start, scale + first + k, shift + first + k, residual + o, flags), 0, y + o);
            }
        }
    }
}

// Channels first ... first + depth - 1 of dy.
// Layout: one work-item per (tile, CHANNELS channels).
KERNEL
void winograd_output_gradient(__global const float *restrict dy, __global const float *restrict zeros,
                              __global float *restrict scratch, int z_at, int P, int Q, int K, int first, int depth,
                              int DIL, TILES, int stride) {
    const int t = TILE;
    LOCATE_TILE(tile + t)
    __global const float *source[MR * MC];
    ROLLED
    for (int i = 0; i < MR; ++i)
        ROLLED
        for (int j = 0; j < MC; ++j) {
            const int h = p + i * DIL, w = q + j * DIL;
            source[MC * i + j] = h < P && w < Q ? dy + (((size_t)n * P + h) * Q + w) * K + first : zeros;
        }
    const int end = min(depth, (GROUP + 1) * CHANNELS);
    for (int k = GROUP * CHANNELS; k < end; k += W) {
        floatW rows[ER][MC];
        ROLLED
        for (int j = 0; j < MC; ++j) {
            floatW d[MR], column[ER];
            UNROLLED
            for (int i = 0; i < MR; ++i) d[i] = VLOAD(0, source[MC * i + j] + k);
            ALONG(OUTPUT_ADJOINT_, ER)(d, column)
            UNROLLED
            for (int i = 0; i < ER; ++i) rows[i][j] = column[i];
        }
        __global float *out = scratch + z_at + ((size_t)(k / 32) * T + t) * 32 + k % 32;
        ROLLED
        for (int i = 0; i < ER; ++i) {
            floatW row[EC];
            ALONG(OUTPUT_ADJOINT_, EC)(rows[i], row)
            UNROLLED
            for (int j = 0; j < EC; ++j) VSTORE(row[j], 0, out + (size_t)(EC * i + j) * stride);
        }
    }
}

// Input channels from c_first on and the KS output channels from k_first on.
// Layout: one work-item per (W output channels, DEPTH input channels of the slices).
#if CPU_FAMILY
#define DEPTH 8
#else
#define DEPTH 1
#endif
KERNEL
void winograd_weight_gradient(__global const float *restrict scratch, int u_at, __global float *restrict dw, int C,
                              int K, int c_first, int k_first, int KS, int stride, int accumulate) {
    const int k = (int)get_global_id(0) * W;
    for (int c = (int)get_global_id(1) * DEPTH; c < ((int)get_global_id(1) + 1) * DEPTH; ++c) {
        __global const float *in = scratch + u_at + (size_t)c * KS + k;
        floatW half_way[3][EC];
        ROLLED
        for (int j = 0; j < EC; ++j) {
            floatW m[ER], column[3];
            UNROLLED
            for (int i = 0; i < ER; ++i) m[i] = VLOAD(0, in + (size_t)(EC * i + j) * stride);
            ALONG(WEIGHT_ADJOINT_, ER)(m, column)
            UNROLLED
            for (int i = 0; i < 3; ++i) half_way[i][j] = column[i];
        }
        ROLLED
        for (int r = 0; r < 3; ++r) {
            floatW row[3];
            ALONG(WEIGHT_ADJOINT_, EC)(half_way[r], row)
            UNROLLED
            for (int s = 0; s < 3; ++s) {
                __global float *to = dw + ((size_t)(3 * r + s) * C + c_first + c) * K + k_first + k;
                VSTORE(accumulate ? VLOAD(0, to) + row[s] : row[s], 0, to);
            }
        }
    }
}
