// Convolution for GPUs: implicit GEMM through local memory. Formulas as in convolution_cpu.cl.
//
//   convolution_gather   rows = output pixels (n, p, q), columns = output channels, depth = taps x input channels
//   convolution_weights  rows = input channels of one tap, columns = output channels, depth = output pixels
//
// A work-group of 16 x 16 items makes a TILE x TILE block (64 x 64), 4 x 4 per item, depth in steps of 16:
//
//      a[16 depth][64 rows]   b[16 depth][64 columns]      item (i, j) owns rows 4i..4i+3, columns 4j..4j+3
//
// Every item takes every barrier: loop counts depend on arguments only, out-of-range data is loaded as zero.
// Weights [R][S][C][KT] with KT = stored output channels. Split j of convolution_weights takes `span` pixels.
// Local memory: 8 KiB.

#define TILE 64
#define DEPTH 16

static inline void multiply_tile(__local const float *a, __local const float *b, int i, int j, float4 acc[4]) {
    for (int d = 0; d < DEPTH; ++d) {
        const float4 left = vload4(i, a + d * TILE), right = vload4(j, b + d * TILE);
        acc[0] = fma((float4)(left.x), right, acc[0]);
        acc[1] = fma((float4)(left.y), right, acc[1]);
        acc[2] = fma((float4)(left.z), right, acc[2]);
        acc[3] = fma((float4)(left.w), right, acc[3]);
    }
}

// Four consecutive channels of one pixel; zero past `count` (compact tensors end mid-vector).
static inline float4 load_channels(__global const float *p, int c, int count) {
    if (c + 4 <= count) return vload4(0, p + c);
    return (float4)(c < count ? p[c] : 0.0f, c + 1 < count ? p[c + 1] : 0.0f, c + 2 < count ? p[c + 2] : 0.0f, 0.0f);
}

__kernel __attribute__((reqd_work_group_size(16, 16, 1)))
void convolution_gather(__global const float *restrict x, __global const float *restrict w,
                        __global const float *restrict zeros, __global const float *bias,
                        __global const float *scale, __global const float *shift, __global const float *residual,
                        __global float *y, int H, int Wd, int C, int XS, int P, int Q, int YS, int R, int S, int STR,
                        int DIL, int PAD, int DIV, int flags, int pixels) {
    __local float a[DEPTH * TILE], b[DEPTH * TILE];
    const int j = (int)get_local_id(0), i = (int)get_local_id(1), item = i * 16 + j;
    const int pixel0 = (int)get_group_id(0) * TILE, column0 = (int)get_group_id(1) * TILE;
    // Loading: item fetches four channels of pixel item/4 and four columns of depth row item/16.
    const int my_pixel = pixel0 + item / 4, my_channel = (item % 4) * 4;
    const int n = my_pixel / (P * Q), p = my_pixel / Q % P, q = my_pixel % Q;
    const int my_depth = item / 16, my_column = column0 + (item % 16) * 4;

    float4 acc[4] = {(float4)(0.0f), (float4)(0.0f), (float4)(0.0f), (float4)(0.0f)};
    for (int tap = 0; tap < R * S; ++tap) {
        const int above = p * STR + tap / S * DIL - PAD, left = q * STR + tap % S * DIL - PAD;
        const int inside = my_pixel < pixels && above >= 0 && left >= 0 && above % DIV == 0 && left % DIV == 0 &&
                           above / DIV < H && left / DIV < Wd;
        const size_t source = inside ? (((size_t)n * H + above / DIV) * Wd + left / DIV) * XS : 0;
        for (int c0 = 0; c0 < C; c0 += DEPTH) {
            const float4 mine = inside ? load_channels(x + source, c0 + my_channel, C) : (float4)(0.0f);
            const int c = c0 + my_depth;
            const float4 weights =
                c < C && my_column < YS ? vload4(0, w + ((size_t)tap * C + c) * YS + my_column) : (float4)(0.0f);
            barrier(CLK_LOCAL_MEM_FENCE);
            a[(my_channel + 0) * TILE + item / 4] = mine.x;
            a[(my_channel + 1) * TILE + item / 4] = mine.y;
            a[(my_channel + 2) * TILE + item / 4] = mine.z;
            a[(my_channel + 3) * TILE + item / 4] = mine.w;
            vstore4(weights, item % 16, b + my_depth * TILE);
            barrier(CLK_LOCAL_MEM_FENCE);
            multiply_tile(a, b, i, j, acc);
        }
    }

    const int column = column0 + j * 4;
    if (column >= YS) return;
    const float4 start = flags & HAS_BIAS ? vload4(0, bias + column) : (float4)(0.0f);
    for (int k = 0; k < 4; ++k) {
        const int pixel = pixel0 + i * 4 + k;
        const size_t o = (size_t)pixel * YS + column;
        if (pixel < pixels)
            vstore4(epilogue(acc[k] + start, scale + column, shift + column, residual + o, flags), 0, y + o);
    }
}

__kernel __attribute__((reqd_work_group_size(16, 16, 1)))
void convolution_weights(__global const float *restrict x, __global const float *restrict dy,
                         __global float *restrict dw, int N, int H, int Wd, int C, int XS, int P, int Q, int KS, int R,
                         int S, int STR, int DIL, int PAD, int span) {
    __local float a[DEPTH * TILE], b[DEPTH * TILE];
    const int j = (int)get_local_id(0), i = (int)get_local_id(1), item = i * 16 + j;
    const int column0 = (int)get_group_id(0) * TILE, channel0 = (int)get_group_id(1) * TILE;
    const int tap = (int)get_group_id(2) % (R * S), split = (int)get_group_id(2) / (R * S);
    const int begin = split * span, pixels = N * P * Q;
    const int my_depth = item / 16, my_channel = channel0 + (item % 16) * 4, my_column = column0 + (item % 16) * 4;

    float4 acc[4] = {(float4)(0.0f), (float4)(0.0f), (float4)(0.0f), (float4)(0.0f)};
    for (int d0 = 0; d0 < span; d0 += DEPTH) {
        const int pixel = begin + d0 + my_depth, live = d0 + my_depth < span && pixel < pixels;
        const int n = pixel / (P * Q), h = pixel / Q % P * STR + tap / S * DIL - PAD, v = pixel % Q * STR + tap % S * DIL - PAD;
        const int inside = live && h >= 0 && h < H && v >= 0 && v < Wd;
        const float4 mine =
            inside ? load_channels(x + (((size_t)n * H + h) * Wd + v) * XS, my_channel, C) : (float4)(0.0f);
        const float4 other = live && my_column < KS ? vload4(0, dy + (size_t)pixel * KS + my_column) : (float4)(0.0f);
        barrier(CLK_LOCAL_MEM_FENCE);
        vstore4(mine, item % 16, a + my_depth * TILE);
        vstore4(other, item % 16, b + my_depth * TILE);
        barrier(CLK_LOCAL_MEM_FENCE);
        multiply_tile(a, b, i, j, acc);
    }

    const int column = column0 + j * 4;
    if (column >= KS) return;
    for (int k = 0; k < 4; ++k) {
        const int c = channel0 + i * 4 + k;
        if (c < C) vstore4(acc[k], 0, dw + (((size_t)split * R * S + tap) * C + c) * KS + column);
    }
}
