// Winograd's minimal filtering F(m x m, 3 x 3) for CPUs, m = TILE = 2, 3 or 4: (m + 2)^2 products where the direct sum
// needs 9 m^2.
//
//   Y = A' [ sum_c (G g G') . (B' d B) ] A          d: E x E pixels, g: 3 x 3 weights, Y: m x m pixels, E = m + 2
//
// B, G and A follow from polynomials through m + 1 points and infinity (Lavin and Gray 2015, arXiv:1509.09308): 0, +-1 for
// m = 2 and 0, +-1, 2 for m = 3. For m = 4 they are 0, +-a, +-b with a b = 1, a = sqrt(1/2) instead of the usual 1 and 2:
// powers of the points stay closer to 1, and the rounding error is smaller.
//
// Dilation D splits an image into D x D phases of pixels D apart; each is a convolution of its own without dilation, so
// the pixels of a tile lie D apart and nothing else changes.
//
// The weight gradient is the adjoint, of the same cost:
//
//   dg = G' [ sum_t (B' d B) . (A dY A') ] G
//
// A pass is a sequence of launches over chunks of `T` tiles from `tile` on and slices of `KS` output channels from `first`
// on, with one scratch buffer of which V, U and M have a part each, `*_at` floats from its start:
//   winograd_input    V[e][t][c]       e = 0...E E - 1 the place in the E x E tile, t the tile, c the input channel
//   winograd_weights  U[e][k/32][c][k%32]
//   winograd_products M[e][t][k] = sum_c V[e][t][c] U[e][c][k]
//   winograd_output   y
// and for the weight gradient, over slices of input channels,
//   winograd_input             V[e][c/8][t][c%8]      (BLOCKED)
//   winograd_output_gradient   Z[e][k/32][t][k%32]
//   winograd_weight_products   U[e][c][k] = sum_t V[e][t][c] Z[e][t][k], added to U but for the first chunk
//   winograd_weight_gradient   dw
// The stride from e to e + 1 is one vector more than its data: streams a power of two apart would share cache sets.
//
// The products, which know nothing of tiles, are in convolution_winograd_products.cl.
//
// Tunables: TILE.

#ifndef TILE
#define TILE 4
#endif
#define E (TILE + 2)
#ifndef FLIPPED
#define FLIPPED 0
#endif
#ifndef BLOCKED
#define BLOCKED 0
#endif

// From tile to tile of V, as in convolution_winograd_products.cl.
#define PITCH(C) ((C) + 16)

// By columns: v = B' d of E pixels, v = G g of three weights, v = A y of TILE gradients, g = G' m of E sums, y = A' m of E sums.
#if TILE == 2
#define INPUT_TRANSFORM(d, v)                                         \
    {                                                                 \
        (v)[0] = (d)[0] - (d)[2];                                     \
        (v)[1] = (d)[2] + (d)[1];                                     \
        (v)[2] = (d)[2] - (d)[1];                                     \
        (v)[3] = (d)[3] - (d)[1];                                     \
    }
#define WEIGHT_TRANSFORM(g0, g1, g2, v)                               \
    {                                                                 \
        const float16 even = 0.5f * ((g0) + (g2)), odd = 0.5f * (g1); \
        (v)[0] = g0;                                                  \
        (v)[1] = even + odd;                                          \
        (v)[2] = even - odd;                                          \
        (v)[3] = g2;                                                  \
    }
#define OUTPUT_ADJOINT(y, v)                                          \
    {                                                                 \
        (v)[0] = (y)[0];                                              \
        (v)[1] = (y)[0] + (y)[1];                                     \
        (v)[2] = (y)[0] - (y)[1];                                     \
        (v)[3] = (y)[1];                                              \
    }
#define WEIGHT_ADJOINT(m, g)                                          \
    {                                                                 \
        const float16 even = 0.5f * ((m)[1] + (m)[2]);                \
        (g)[0] = (m)[0] + even;                                       \
        (g)[1] = 0.5f * ((m)[1] - (m)[2]);                            \
        (g)[2] = even + (m)[3];                                       \
    }
#define OUTPUT_TRANSFORM(m, y)                                        \
    {                                                                 \
        (y)[0] = (m)[0] + ((m)[1] + (m)[2]);                          \
        (y)[1] = ((m)[1] - (m)[2]) + (m)[3];                          \
    }
#elif TILE == 3
#define INPUT_TRANSFORM(d, v)                                         \
    {                                                                 \
        const float16 inner = fma(2.0f, (d)[1], -(d)[2]);             \
        (v)[0] = fma(2.0f, (d)[0] - (d)[2], (d)[3] - (d)[1]);         \
        (v)[1] = (d)[3] - fma(2.0f, (d)[1], (d)[2]);                  \
        (v)[2] = (d)[3] + fma(2.0f, (d)[1], -3.0f * (d)[2]);          \
        (v)[3] = (d)[3] - (d)[1];                                     \
        (v)[4] = fma(-2.0f, (d)[3], (d)[4]) + inner;                  \
    }
#define WEIGHT_TRANSFORM(g0, g1, g2, v)                               \
    {                                                                 \
        const float16 even = (g0) + (g2);                             \
        (v)[0] = 0.5f * (g0);                                         \
        (v)[1] = -0.5f * (even + (g1));                               \
        (v)[2] = (-1.0f / 6) * (even - (g1));                         \
        (v)[3] = (1.0f / 6) * fma(4.0f, g2, fma(2.0f, g1, g0));       \
        (v)[4] = g2;                                                  \
    }
#define OUTPUT_ADJOINT(y, v)                                          \
    {                                                                 \
        const float16 even = (y)[0] + (y)[2];                         \
        (v)[0] = (y)[0];                                              \
        (v)[1] = even + (y)[1];                                       \
        (v)[2] = even - (y)[1];                                       \
        (v)[3] = fma(4.0f, (y)[2], fma(2.0f, (y)[1], (y)[0]));        \
        (v)[4] = (y)[2];                                              \
    }
#define WEIGHT_ADJOINT(m, g)                                          \
    {                                                                 \
        const float16 first = -0.5f * (m)[1], second = (-1.0f / 6) * (m)[2], third = (1.0f / 6) * (m)[3]; \
        (g)[0] = fma(0.5f, (m)[0], first + second) + third;           \
        (g)[1] = fma(2.0f, third, first - second);                    \
        (g)[2] = fma(4.0f, third, first + second) + (m)[4];           \
    }
#define OUTPUT_TRANSFORM(m, y)                                        \
    {                                                                 \
        const float16 even = (m)[1] + (m)[2];                         \
        (y)[0] = (m)[0] + even + (m)[3];                              \
        (y)[1] = fma(2.0f, (m)[3], (m)[1] - (m)[2]);                  \
        (y)[2] = fma(4.0f, (m)[3], even) + (m)[4];                    \
    }
#else
#define A2 0.5f
#define B2 2.0f
#define A1 0.70710678118654752f
#define B1 1.41421356237309505f
#define A3 (A2 * A1)
#define B3 (B2 * B1)
#define INPUT_TRANSFORM(d, v)                                         \
    {                                                                 \
        const float16 even_a = fma(-B2, (d)[2], (d)[4]), odd_a = A1 * fma(-B2, (d)[1], (d)[3]); \
        const float16 even_b = fma(-A2, (d)[2], (d)[4]), odd_b = B1 * fma(-A2, (d)[1], (d)[3]); \
        (v)[0] = fma(-(A2 + B2), (d)[2], (d)[4]) + (d)[0];            \
        (v)[1] = even_a + odd_a;                                      \
        (v)[2] = even_a - odd_a;                                      \
        (v)[3] = even_b + odd_b;                                      \
        (v)[4] = even_b - odd_b;                                      \
        (v)[5] = fma(-(A2 + B2), (d)[3], (d)[5]) + (d)[1];            \
    }
#define WEIGHT_TRANSFORM(g0, g1, g2, v)                               \
    {                                                                 \
        const float16 even_a = fma(A2, g2, g0) * (-2.0f / 3), odd_a = (A1 * (-2.0f / 3)) * (g1); \
        const float16 even_b = fma(B2, g2, g0) * (1.0f / 6), odd_b = (B1 / 6) * (g1);            \
        (v)[0] = g0;                                                  \
        (v)[1] = even_a + odd_a;                                      \
        (v)[2] = even_a - odd_a;                                      \
        (v)[3] = even_b + odd_b;                                      \
        (v)[4] = even_b - odd_b;                                      \
        (v)[5] = g2;                                                  \
    }
#define OUTPUT_ADJOINT(y, v)                                          \
    {                                                                 \
        const float16 even_a = fma(A2, (y)[2], (y)[0]), odd_a = fma(A3, (y)[3], A1 * (y)[1]); \
        const float16 even_b = fma(B2, (y)[2], (y)[0]), odd_b = fma(B3, (y)[3], B1 * (y)[1]); \
        (v)[0] = (y)[0];                                              \
        (v)[1] = even_a + odd_a;                                      \
        (v)[2] = even_a - odd_a;                                      \
        (v)[3] = even_b + odd_b;                                      \
        (v)[4] = even_b - odd_b;                                      \
        (v)[5] = (y)[3];                                              \
    }

// g = G' m for one column of six.
#define WEIGHT_ADJOINT(m, g)                                          \
    {                                                                 \
        const float16 even_a = ((m)[1] + (m)[2]) * (-2.0f / 3), odd_a = ((m)[1] - (m)[2]) * (A1 * (-2.0f / 3)); \
        const float16 even_b = ((m)[3] + (m)[4]) * (1.0f / 6), odd_b = ((m)[3] - (m)[4]) * (B1 / 6);            \
        (g)[0] = (m)[0] + even_a + even_b;                            \
        (g)[1] = odd_a + odd_b;                                       \
        (g)[2] = fma(B2, even_b, fma(A2, even_a, (m)[5]));            \
    }

// y = A' m for one column of six.
#define OUTPUT_TRANSFORM(m, y)                                        \
    {                                                                 \
        const float16 even_a = (m)[1] + (m)[2], odd_a = (m)[1] - (m)[2]; \
        const float16 even_b = (m)[3] + (m)[4], odd_b = (m)[3] - (m)[4]; \
        (y)[0] = (m)[0] + even_a + even_b;                            \
        (y)[1] = fma(B1, odd_b, A1 * odd_a);                          \
        (y)[2] = fma(B2, even_b, A2 * even_a);                        \
        (y)[3] = fma(B3, odd_b, fma(A3, odd_a, (m)[5]));              \
    }
#endif

// Tile t of an image batch: image n, and the output pixel (p, q) of its first element; its neighbours lie DIL apart.
#define LOCATE_TILE(t)                                                                             \
    const int tx = (t) % TX, px = (t) / TX % DIL, ty = (t) / (TX * DIL) % TY;                      \
    const int py = (t) / (TX * DIL * TY) % DIL, n = (t) / (TX * DIL * TY * DIL);                   \
    const int p = TILE * ty * DIL + py, q = TILE * tx * DIL + px;

// Channels first ... first + depth - 1 of x.
// Layout: one work-item per (tile, group of 8 vectors of channels).
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void winograd_input(__global const float *restrict x, __global const float *restrict zeros,
                    __global float *restrict scratch, int v_at, int H, int Wd, int C, int first, int depth, int DIL,
                    int PAD, int TY, int TX, int tile, int stride) {
    LOCATE_TILE(tile + (int)get_global_id(0))
    __global const float *source[E * E];
    for (int i = 0; i < E; ++i)
        for (int j = 0; j < E; ++j) {
            const int h = p + i * DIL - PAD, w = q + j * DIL - PAD;
            const int inside = h >= 0 && h < H && w >= 0 && w < Wd;
            source[E * i + j] = inside ? x + (((size_t)n * H + h) * Wd + w) * C + first : zeros;
        }
    const int end = min(depth, ((int)get_global_id(1) + 1) * 128);
    for (int c = (int)get_global_id(1) * 128; c < end; c += 16) {
        float16 rows[E][E];
        __attribute__((opencl_unroll_hint))
        for (int j = 0; j < E; ++j) {
            float16 d[E], column[E];
            __attribute__((opencl_unroll_hint))
            for (int i = 0; i < E; ++i) d[i] = vload16(0, source[E * i + j] + c);
            INPUT_TRANSFORM(d, column)
            __attribute__((opencl_unroll_hint))
            for (int i = 0; i < E; ++i) rows[i][j] = column[i];
        }
#if BLOCKED
        const int T = (int)get_global_size(0);
        __global float *out = scratch + v_at + (size_t)c * T + 8 * (int)get_global_id(0);
#else
        __global float *out = scratch + v_at + (size_t)get_global_id(0) * PITCH(depth) + c;
#endif
        __attribute__((opencl_unroll_hint))
        for (int i = 0; i < E; ++i) {
            float16 row[E];
            INPUT_TRANSFORM(rows[i], row)
            __attribute__((opencl_unroll_hint))
            for (int j = 0; j < E; ++j) {
#if BLOCKED
                vstore8(row[j].lo, 0, out + (size_t)(E * i + j) * stride);
                vstore8(row[j].hi, 0, out + (size_t)(E * i + j) * stride + 8 * T);
#else
                vstore16(row[j], 0, out + (size_t)(E * i + j) * stride);
#endif
            }
        }
    }
}

// Canonical weights w[3][3][C][K] to U for output channels first, first + 1, ...; FLIPPED: taps reversed and channels
// exchanged, for the input gradient, whose output channels are the C.
// Layout: one work-item per (16 output channels, 16 input channels).
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void winograd_weights(__global const float *restrict w, __global float *restrict scratch, int u_at, int C, int K,
                      int first, int stride) {
    const int k = (int)get_global_id(0) * 16, c = (int)get_global_id(1) * 16;
    float16 g[9][16];
    for (int tap = 0; tap < 9; ++tap) {
#if FLIPPED
        __global const float *block = w + ((size_t)(8 - tap) * C + first + k) * K + c;
#else
        __global const float *block = w + ((size_t)tap * C + c) * K + first + k;
#endif
        float16 rows[16];
        __attribute__((opencl_unroll_hint))
        for (int i = 0; i < 16; ++i) rows[i] = vload16(0, block + (size_t)i * K);
#if FLIPPED
        TRANSPOSE(rows)
#endif
        __attribute__((opencl_unroll_hint))
        for (int i = 0; i < 16; ++i) g[tap][i] = rows[i];
    }
    const int depth = FLIPPED ? K : C;
    for (int i = 0; i < 16; ++i) {
        float16 rows[E][3];
        __attribute__((opencl_unroll_hint))
        for (int s = 0; s < 3; ++s) {
            float16 column[E];
            WEIGHT_TRANSFORM(g[s][i], g[3 + s][i], g[6 + s][i], column)
            __attribute__((opencl_unroll_hint))
            for (int r = 0; r < E; ++r) rows[r][s] = column[r];
        }
        __global float *out = scratch + u_at + ((size_t)(k / 32) * depth + c + i) * 32 + k % 32;
        __attribute__((opencl_unroll_hint))
        for (int r = 0; r < E; ++r) {
            float16 row[E];
            WEIGHT_TRANSFORM(rows[r][0], rows[r][1], rows[r][2], row)
            __attribute__((opencl_unroll_hint))
            for (int s = 0; s < E; ++s) vstore16(row[s], 0, out + (size_t)(E * r + s) * stride);
        }
    }
}

// Layout: one work-item per (tile, group of 8 vectors of the slice's channels).
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void winograd_output(__global const float *restrict scratch, int m_at, __global const float *bias,
                     __global const float *scale, __global const float *shift, __global const float *residual,
                     __global float *y, int P, int Q, int K, int first, int KS, int DIL, int TY, int TX, int tile,
                     int stride, int flags) {
    LOCATE_TILE(tile + (int)get_global_id(0))
    const int rows = min(TILE, (P - p + DIL - 1) / DIL), columns = min(TILE, (Q - q + DIL - 1) / DIL);
    const int end = min(KS, ((int)get_global_id(1) + 1) * 128);
    for (int k = (int)get_global_id(1) * 128; k < end; k += 16) {
        __global const float *in = scratch + m_at + (size_t)get_global_id(0) * KS + k;
        float16 half_way[TILE][E];
        __attribute__((opencl_unroll_hint))
        for (int j = 0; j < E; ++j) {
            float16 d[E], column[TILE];
            __attribute__((opencl_unroll_hint))
            for (int i = 0; i < E; ++i) d[i] = vload16(0, in + (size_t)(E * i + j) * stride);
            OUTPUT_TRANSFORM(d, column)
            __attribute__((opencl_unroll_hint))
            for (int i = 0; i < TILE; ++i) half_way[i][j] = column[i];
        }
        float16 start = 0.0f;
        if (flags & HAS_BIAS) start = vload16(0, bias + first + k);
        __attribute__((opencl_unroll_hint))
        for (int i = 0; i < TILE; ++i) {
            float16 row[TILE];
            OUTPUT_TRANSFORM(half_way[i], row)
            if (i >= rows) continue;
            const size_t at = (((size_t)n * P + p + i * DIL) * Q + q) * K + first + k;
            __attribute__((opencl_unroll_hint))
            for (int j = 0; j < TILE; ++j) {
                if (j >= columns) continue;
                const size_t o = at + (size_t)j * DIL * K;
                vstore16(epilogue(row[j] + start, scale + first + k, shift + first + k, residual + o, flags), 0, y + o);
            }
        }
    }
}

// Layout: one work-item per (tile, group of 8 vectors of channels).
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void winograd_output_gradient(__global const float *restrict dy, __global const float *restrict zeros,
                              __global float *restrict scratch, int z_at, int P, int Q, int K, int DIL, int TY, int TX,
                              int tile, int stride) {
    LOCATE_TILE(tile + (int)get_global_id(0))
    const int T = (int)get_global_size(0);
    __global const float *source[TILE * TILE];
    for (int i = 0; i < TILE; ++i)
        for (int j = 0; j < TILE; ++j) {
            const int h = p + i * DIL, w = q + j * DIL;
            source[TILE * i + j] = h < P && w < Q ? dy + (((size_t)n * P + h) * Q + w) * K : zeros;
        }
    const int end = min(K, ((int)get_global_id(1) + 1) * 128);
    for (int k = (int)get_global_id(1) * 128; k < end; k += 16) {
        float16 rows[E][TILE];
        __attribute__((opencl_unroll_hint))
        for (int j = 0; j < TILE; ++j) {
            float16 d[TILE], column[E];
            __attribute__((opencl_unroll_hint))
            for (int i = 0; i < TILE; ++i) d[i] = vload16(0, source[TILE * i + j] + k);
            OUTPUT_ADJOINT(d, column)
            __attribute__((opencl_unroll_hint))
            for (int i = 0; i < E; ++i) rows[i][j] = column[i];
        }
        __global float *out = scratch + z_at + ((size_t)(k / 32) * T + get_global_id(0)) * 32 + k % 32;
        __attribute__((opencl_unroll_hint))
        for (int i = 0; i < E; ++i) {
            float16 row[E];
            OUTPUT_ADJOINT(rows[i], row)
            __attribute__((opencl_unroll_hint))
            for (int j = 0; j < E; ++j) vstore16(row[j], 0, out + (size_t)(E * i + j) * stride);
        }
    }
}

// Layout: one work-item per (16 output channels, 8 input channels of the slice).
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void winograd_weight_gradient(__global const float *restrict scratch, int u_at, __global float *restrict dw, int C, int K,
                              int first, int stride) {
    const int k = (int)get_global_id(0) * 16;
    for (int c = (int)get_global_id(1) * 8; c < ((int)get_global_id(1) + 1) * 8; ++c) {
        __global const float *in = scratch + u_at + (size_t)c * K + k;
        float16 half_way[3][E];
        __attribute__((opencl_unroll_hint))
        for (int j = 0; j < E; ++j) {
            float16 m[E], column[3];
            __attribute__((opencl_unroll_hint))
            for (int i = 0; i < E; ++i) m[i] = vload16(0, in + (size_t)(E * i + j) * stride);
            WEIGHT_ADJOINT(m, column)
            __attribute__((opencl_unroll_hint))
            for (int i = 0; i < 3; ++i) half_way[i][j] = column[i];
        }
        __attribute__((opencl_unroll_hint))
        for (int r = 0; r < 3; ++r) {
            float16 row[3];
            WEIGHT_ADJOINT(half_way[r], row)
            __attribute__((opencl_unroll_hint))
            for (int s = 0; s < 3; ++s) vstore16(row[s], 0, dw + ((size_t)(3 * r + s) * C + first + c) * K + k);
        }
    }
}
