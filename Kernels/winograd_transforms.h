// Winograd's transforms F(m, 3) for convolution_winograd.cl, which tells where they come from.
//
// Along one axis, by the number of places: v = B' d of MR + 2 pixels, v = G g of three weights, v = A y of MR
// gradients, g = G' m, y = A' m.
// 1: a pixel whose neighbours are outside the image.
#define INPUT_TRANSFORM_1(d, v) (v)[0] = (d)[1];
#define WEIGHT_TRANSFORM_1(g0, g1, g2, v) (v)[0] = g1;
#define OUTPUT_ADJOINT_1(y, v) (v)[0] = (y)[0];
#define WEIGHT_ADJOINT_1(m, g)                                        \
    {                                                                 \
        (g)[0] = (g)[2] = 0.0f;                                       \
        (g)[1] = (m)[0];                                              \
    }
#define OUTPUT_TRANSFORM_1(m, y) (y)[0] = (m)[0];

// 3: two pixels whose other neighbours are outside: three products instead of four.
#define INPUT_TRANSFORM_3(d, v)                                       \
    {                                                                 \
        (v)[0] = (d)[1] + (d)[2];                                     \
        (v)[1] = (d)[2];                                              \
        (v)[2] = (d)[1];                                              \
    }
#define WEIGHT_TRANSFORM_3(g0, g1, g2, v)                             \
    {                                                                 \
        (v)[0] = g1;                                                  \
        (v)[1] = (g2) - (g1);                                         \
        (v)[2] = (g0) - (g1);                                         \
    }
#define OUTPUT_ADJOINT_3(y, v)                                        \
    {                                                                 \
        (v)[0] = (y)[0] + (y)[1];                                     \
        (v)[1] = (y)[0];                                              \
        (v)[2] = (y)[1];                                              \
    }
#define WEIGHT_ADJOINT_3(m, g)                                        \
    {                                                                 \
        (g)[0] = (m)[2];                                              \
        (g)[1] = (m)[0] - ((m)[1] + (m)[2]);                          \
        (g)[2] = (m)[1];                                              \
    }
#define OUTPUT_TRANSFORM_3(m, y)                                      \
    {                                                                 \
        (y)[0] = (m)[0] + (m)[1];                                     \
        (y)[1] = (m)[0] + (m)[2];                                     \
    }

// 4: F(2, 3), with points 0, +-1.
#define INPUT_TRANSFORM_4(d, v)                                       \
    {                                                                 \
        (v)[0] = (d)[0] - (d)[2];                                     \
        (v)[1] = (d)[2] + (d)[1];                                     \
        (v)[2] = (d)[2] - (d)[1];                                     \
        (v)[3] = (d)[3] - (d)[1];                                     \
    }
#define WEIGHT_TRANSFORM_4(g0, g1, g2, v)                             \
    {                                                                 \
        const floatW even = 0.5f * ((g0) + (g2)), odd = 0.5f * (g1); \
        (v)[0] = g0;                                                  \
        (v)[1] = even + odd;                                          \
        (v)[2] = even - odd;                                          \
        (v)[3] = g2;                                                  \
    }
#define OUTPUT_ADJOINT_4(y, v)                                        \
    {                                                                 \
        (v)[0] = (y)[0];                                              \
        (v)[1] = (y)[0] + (y)[1];                                     \
        (v)[2] = (y)[0] - (y)[1];                                     \
        (v)[3] = (y)[1];                                              \
    }
#define WEIGHT_ADJOINT_4(m, g)                                        \
    {                                                                 \
        const floatW even = 0.5f * ((m)[1] + (m)[2]);                \
        (g)[0] = (m)[0] + even;                                       \
        (g)[1] = 0.5f * ((m)[1] - (m)[2]);                            \
        (g)[2] = even + (m)[3];                                       \
    }
#define OUTPUT_TRANSFORM_4(m, y)                                      \
    {                                                                 \
        (y)[0] = (m)[0] + ((m)[1] + (m)[2]);                          \
        (y)[1] = ((m)[1] - (m)[2]) + (m)[3];                          \
    }

// 5: F(3, 3), with points 0, +-1, 2.
#define INPUT_TRANSFORM_5(d, v)                                       \
    {                                                                 \
        const floatW inner = fma(2.0f, (d)[1], -(d)[2]);             \
        (v)[0] = fma(2.0f, (d)[0] - (d)[2], (d)[3] - (d)[1]);         \
        (v)[1] = (d)[3] - fma(2.0f, (d)[1], (d)[2]);                  \
        (v)[2] = (d)[3] + fma(2.0f, (d)[1], -3.0f * (d)[2]);          \
        (v)[3] = (d)[3] - (d)[1];                                     \
        (v)[4] = fma(-2.0f, (d)[3], (d)[4]) + inner;                  \
    }
#define WEIGHT_TRANSFORM_5(g0, g1, g2, v)                             \
    {                                                                 \
        const floatW even = (g0) + (g2);                             \
        (v)[0] = 0.5f * (g0);                                         \
        (v)[1] = -0.5f * (even + (g1));                               \
        (v)[2] = (-1.0f / 6) * (even - (g1));                         \
        (v)[3] = (1.0f / 6) * fma(4.0f, g2, fma(2.0f, g1, g0));       \
        (v)[4] = g2;                                                  \
    }
#define OUTPUT_ADJOINT_5(y, v)                                        \
    {                                                                 \
        const floatW even = (y)[0] + (y)[2];                         \
        (v)[0] = (y)[0];                                              \
        (v)[1] = even + (y)[1];                                       \
        (v)[2] = even - (y)[1];                                       \
        (v)[3] = fma(4.0f, (y)[2], fma(2.0f, (y)[1], (y)[0]));        \
        (v)[4] = (y)[2];                                              \
    }
#define WEIGHT_ADJOINT_5(m, g)                                        \
    {                                                                 \
        const floatW first = -0.5f * (m)[1], second = (-1.0f / 6) * (m)[2], third = (1.0f / 6) * (m)[3]; \
        (g)[0] = fma(0.5f, (m)[0], first + second) + third;           \
        (g)[1] = fma(2.0f, third, first - second);                    \
        (g)[2] = fma(4.0f, third, first + second) + (m)[4];           \
    }
#define OUTPUT_TRANSFORM_5(m, y)                                      \
    {                                                                 \
        const floatW even = (m)[1] + (m)[2];                         \
        (y)[0] = (m)[0] + even + (m)[3];                              \
        (y)[1] = fma(2.0f, (m)[3], (m)[1] - (m)[2]);                  \
        (y)[2] = fma(4.0f, (m)[3], even) + (m)[4];                    \
    }

// 6: F(4, 3), with points 0, +-sqrt(1/2), +-sqrt(2).
#define A2 0.5f
#define B2 2.0f
#define A1 0.70710678118654752f
#define B1 1.41421356237309505f
#define A3 (A2 * A1)
#define B3 (B2 * B1)
#define INPUT_TRANSFORM_6(d, v)                                       \
    {                                                                 \
        const floatW even_a = fma(-B2, (d)[2], (d)[4]), odd_a = A1 * fma(-B2, (d)[1], (d)[3]); \
        const floatW even_b = fma(-A2, (d)[2], (d)[4]), odd_b = B1 * fma(-A2, (d)[1], (d)[3]); \
        (v)[0] = fma(-(A2 + B2), (d)[2], (d)[4]) + (d)[0];            \
        (v)[1] = even_a + odd_a;                                      \
        (v)[2] = even_a - odd_a;                                      \
        (v)[3] = even_b + odd_b;                                      \
        (v)[4] = even_b - odd_b;                                      \
        (v)[5] = fma(-(A2 + B2), (d)[3], (d)[5]) + (d)[1];            \
    }
#define WEIGHT_TRANSFORM_6(g0, g1, g2, v)                             \
    {                                                                 \
        const floatW even_a = fma(A2, g2, g0) * (-2.0f / 3), odd_a = (A1 * (-2.0f / 3)) * (g1); \
        const floatW even_b = fma(B2, g2, g0) * (1.0f / 6), odd_b = (B1 / 6) * (g1);            \
        (v)[0] = g0;                                                  \
        (v)[1] = even_a + odd_a;                                      \
        (v)[2] = even_a - odd_a;                                      \
        (v)[3] = even_b + odd_b;                                      \
        (v)[4] = even_b - odd_b;                                      \
        (v)[5] = g2;                                                  \
    }
#define OUTPUT_ADJOINT_6(y, v)                                        \
    {                                                                 \
        const floatW even_a = fma(A2, (y)[2], (y)[0]), odd_a = fma(A3, (y)[3], A1 * (y)[1]); \
        const floatW even_b = fma(B2, (y)[2], (y)[0]), odd_b = fma(B3, (y)[3], B1 * (y)[1]); \
        (v)[0] = (y)[0];                                              \
        (v)[1] = even_a + odd_a;                                      \
        (v)[2] = even_a - odd_a;                                      \
        (v)[3] = even_b + odd_b;                                      \
        (v)[4] = even_b - odd_b;                                      \
        (v)[5] = (y)[3];                                              \
    }

#define WEIGHT_ADJOINT_6(m, g)                                        \
    {                                                                 \
        const floatW even_a = ((m)[1] + (m)[2]) * (-2.0f / 3), odd_a = ((m)[1] - (m)[2]) * (A1 * (-2.0f / 3)); \
        const floatW even_b = ((m)[3] + (m)[4]) * (1.0f / 6), odd_b = ((m)[3] - (m)[4]) * (B1 / 6);            \
        (g)[0] = (m)[0] + even_a + even_b;                            \
        (g)[1] = odd_a + odd_b;                                       \
        (g)[2] = fma(B2, even_b, fma(A2, even_a, (m)[5]));            \
    }

#define OUTPUT_TRANSFORM_6(m, y)                                      \
    {                                                                 \
        const floatW even_a = (m)[1] + (m)[2], odd_a = (m)[1] - (m)[2]; \
        const floatW even_b = (m)[3] + (m)[4], odd_b = (m)[3] - (m)[4]; \
        (y)[0] = (m)[0] + even_a + even_b;                            \
        (y)[1] = fma(B1, odd_b, A1 * odd_a);                          \
        (y)[2] = fma(B2, even_b, A2 * even_a);                        \
        (y)[3] = fma(B3, odd_b, fma(A3, odd_a, (m)[5]));              \
    }

// 7: F(5, 3), with points 0, +-1, +-1/2, 2.
#define INPUT_TRANSFORM_7(d, v)                                       \
    {                                                                 \
        const floatW first = fma(-1.25f, (d)[2], fma(0.25f, (d)[0], (d)[4]));                                \
        const floatW second = fma(-1.25f, (d)[3], fma(0.25f, (d)[1], (d)[5]));                               \
        const floatW third = fma(-1.25f, (d)[4], fma(0.25f, (d)[2], (d)[6]));                                \
        const floatW middle_1 = fma(-0.25f, (d)[2], (d)[4]), middle_2 = (d)[4] - (d)[2];                     \
        const floatW odd_1 = fma(-2.0f, fma(-0.25f, (d)[1], (d)[3]), middle_1);                              \
        const floatW even_1 = fma(-2.0f, middle_1, fma(-0.25f, (d)[3], (d)[5]));                             \
        const floatW odd_2 = fma(-2.0f, (d)[3] - (d)[1], middle_2);   \
        const floatW even_2 = fma(-2.0f, middle_2, (d)[5] - (d)[3]);  \
        (v)[0] = fma(-2.0f, first, second);                           \
        (v)[1] = even_1 + odd_1;                                      \
        (v)[2] = even_1 - odd_1;                                      \
        (v)[3] = fma(0.5f, odd_2, even_2);                            \
        (v)[4] = fma(-0.5f, odd_2, even_2);                           \
        (v)[5] = second;                                              \
        (v)[6] = fma(-2.0f, second, third);                           \
    }
#define WEIGHT_TRANSFORM_7(g0, g1, g2, v)                             \
    {                                                                 \
        const floatW even_1 = (g0) + (g2), even_2 = fma(0.25f, g2, g0);                                      \
        (v)[0] = -2.0f * (g0);                                        \
        (v)[1] = (-2.0f / 3) * (even_1 + (g1));                       \
        (v)[2] = (-2.0f / 9) * (even_1 - (g1));                       \
        (v)[3] = (16.0f / 9) * fma(0.5f, g1, even_2);                 \
        (v)[4] = (16.0f / 15) * fma(-0.5f, g1, even_2);               \
        (v)[5] = (2.0f / 45) * fma(4.0f, g2, fma(2.0f, g1, g0));      \
        (v)[6] = g2;                                                  \
    }
#define OUTPUT_ADJOINT_7(y, v)                                        \
    {                                                                 \
        const floatW even_1 = (y)[0] + (y)[2] + (y)[4], odd_1 = (y)[1] + (y)[3];                             \
        const floatW even_2 = fma(0.0625f, (y)[4], fma(0.25f, (y)[2], (y)[0]));                              \
        const floatW odd_2 = 0.5f * fma(0.25f, (y)[3], (y)[1]);       \
        (v)[0] = (y)[0];                                              \
        (v)[1] = even_1 + odd_1;                                      \
        (v)[2] = even_1 - odd_1;                                      \
        (v)[3] = even_2 + odd_2;                                      \
        (v)[4] = even_2 - odd_2;                                      \
        (v)[5] = fma(16.0f, (y)[4], fma(8.0f, (y)[3], fma(4.0f, (y)[2], fma(2.0f, (y)[1], (y)[0]))));        \
        (v)[6] = (y)[4];                                              \
    }
#define WEIGHT_ADJOINT_7(m, g)                                        \
    {                                                                 \
        const floatW plus_1 = (-2.0f / 3) * (m)[1], minus_1 = (-2.0f / 9) * (m)[2];                          \
        const floatW plus_2 = (16.0f / 9) * (m)[3], minus_2 = (16.0f / 15) * (m)[4];                         \
        const floatW even_1 = plus_1 + minus_1, even_2 = plus_2 + minus_2, last = (2.0f / 45) * (m)[5];      \
        (g)[0] = fma(-2.0f, (m)[0], even_1 + even_2) + last;          \
        (g)[1] = fma(2.0f, last, fma(0.5f, plus_2 - minus_2, plus_1 - minus_1));                             \
        (g)[2] = fma(4.0f, last, fma(0.25f, even_2, even_1)) + (m)[6];                                       \
    }
#define OUTPUT_TRANSFORM_7(m, y)                                      \
    {                                                                 \
        const floatW even_1 = (m)[1] + (m)[2], odd_1 = (m)[1] - (m)[2];                                      \
        const floatW even_2 = (m)[3] + (m)[4], odd_2 = (m)[3] - (m)[4];                                      \
        (y)[0] = (m)[0] + even_1 + even_2 + (m)[5];                   \
        (y)[1] = fma(2.0f, (m)[5], fma(0.5f, odd_2, odd_1));          \
        (y)[2] = fma(4.0f, (m)[5], fma(0.25f, even_2, even_1));       \
        (y)[3] = fma(8.0f, (m)[5], fma(0.125f, odd_2, odd_1));        \
        (y)[4] = fma(16.0f, (m)[5], fma(0.0625f, even_2, even_1)) + (m)[6];                                  \
    }

// The transform for so many places.
#define JOIN(a, b) a##b
#define ALONG(transform, places) JOIN(transform, places)
