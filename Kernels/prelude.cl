// Common ground of every kernel file: vector width, loops over vectors, and the step buffer.
//
// Storage: the last axis (channels) is stored padded to a multiple of 16 elements, pads hold zeros, so every
// kernel works on whole vectors of W floats and needs no guard. Compact tensors (images, labels) are the
// exception and are only ever read one scalar at a time.
//
// Tunables set by the host:
//   OWN_BUILTINS  defined: builtins.h declares OpenCL's functions, the compiler's header is not read (pocl).
//   CPU_FAMILY  1: one work-item per group, float16 vectors, each work-item owns a contiguous range.
//               0: work-groups of many items, float4 vectors, neighbouring items read neighbouring vectors.
//   VECTOR      with CPU_FAMILY 0, floats of a vector: 4; 8 where bfloat16 is moved, so that an item takes as many
//               bytes; 2 where an item has more vectors than registers.

#ifdef OWN_BUILTINS
#include "builtins.h"
#endif

#if CPU_FAMILY
#define W 16
typedef float16 floatW;
typedef int16 intW;
typedef uint16 uintW;
typedef ushort16 ushortW;
#define VLOAD(i, p) vload16((i), (p))
#define VSTORE(v, i, p) vstore16((v), (i), (p))
#define AS_INTW as_int16
#define AS_UINTW as_uint16
#define AS_FLOATW as_float16
#define CONVERT_FLOATW convert_float16
#define CONVERT_UINTW convert_uint16
#define CONVERT_USHORTW convert_ushort16
#define LANE_INDEX ((uint16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15))
#else
#ifndef VECTOR
#define VECTOR 4
#endif
#define W VECTOR
#define PASTE_NAMES(name, width) name##width
#define OF_WIDTH(name, width) PASTE_NAMES(name, width)
typedef OF_WIDTH(float, W) floatW;
typedef OF_WIDTH(int, W) intW;
typedef OF_WIDTH(uint, W) uintW;
typedef OF_WIDTH(ushort, W) ushortW;
// As vectors, not by vload4, which asks for the alignment of a float: compilers for GPUs make four loads of that.
#define VLOAD(i, p) (((__global const floatW *)(p))[i])
#define VSTORE(v, i, p) (((__global floatW *)(p))[i] = (v))
#define AS_INTW OF_WIDTH(as_int, W)
#define AS_UINTW OF_WIDTH(as_uint, W)
#define AS_FLOATW OF_WIDTH(as_float, W)
#define CONVERT_FLOATW OF_WIDTH(convert_float, W)
#define CONVERT_UINTW OF_WIDTH(convert_uint, W)
#define CONVERT_USHORTW OF_WIDTH(convert_ushort, W)
#if W == 2
#define LANE_INDEX ((uint2)(0, 1))
#elif W == 4
#define LANE_INDEX ((uint4)(0, 1, 2, 3))
#else
#define LANE_INDEX ((uint8)(0, 1, 2, 3, 4, 5, 6, 7))
#endif
#endif

// bfloat16 is the upper half of a float32: 7 bits of mantissa, the same range.
static inline floatW widen(ushortW v) { return AS_FLOATW(CONVERT_UINTW(v) << 16); }
// To the nearest, ties to even; what is no number stays so.
static inline ushortW narrow(floatW v) {
    const uintW bits = AS_UINTW(v);
    return CONVERT_USHORTW(select((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16, bits >> 16 | 0x40u, isnan(v)));
}

// Activations and their gradients, as they are stored; computed is in float32. Everything else is stored in float32.
#ifndef BFLOAT16
#define BFLOAT16 0
#endif
#if BFLOAT16
typedef ushort activation;
#if CPU_FAMILY
#define ALOAD(i, p) widen(vload16((i), (p)))
#define ASTORE(v, i, p) vstore16(narrow(v), (i), (p))
#else
#define ALOAD(i, p) widen(((__global const ushortW *)(p))[i])
#define ASTORE(v, i, p) (((__global ushortW *)(p))[i] = narrow(v))
#endif
#else
typedef float activation;
#define ALOAD VLOAD
#define ASTORE VSTORE
#endif

// Asks for `count` floats to come closer, where the host says that the device takes it (HAS_PREFETCH) and the compiler
// knows how.
#ifndef HAS_PREFETCH
#define HAS_PREFETCH 0
#endif
#if HAS_PREFETCH && defined(__has_builtin)
#if __has_builtin(__builtin_prefetch)
#define PREFETCH(from, count) \
    for (int line = 0; line < (count); line += 16) __builtin_prefetch((const void *)(size_t)((from) + line), 0, 2);
#endif
#endif
#ifndef PREFETCH
#define PREFETCH(from, count) { (void)(from); (void)(count); }
#endif

// Loop over i in [0, n): a contiguous range per work-item on CPUs, a grid stride on GPUs. `n` is an int.
#if CPU_FAMILY
#define FOR_RANGE(i, n)                                                                         \
    const int i##_span = ((n) + (int)get_global_size(0) - 1) / (int)get_global_size(0);         \
    const int i##_end = min((int)(get_global_id(0) + 1) * i##_span, (int)(n));                  \
    for (int i = (int)get_global_id(0) * i##_span; i < i##_end; ++i)
#else
#define FOR_RANGE(i, n) for (int i = (int)get_global_id(0); i < (int)(n); i += (int)get_global_size(0))
#endif

// The same loop over rows of `vectors` vectors, with v = i % vectors: what the vector's channels are.
#if CPU_FAMILY
#define FOR_CHANNELS(i, v, n, vectors)                                                          \
    const int i##_span = ((n) + (int)get_global_size(0) - 1) / (int)get_global_size(0);         \
    const int i##_end = min((int)(get_global_id(0) + 1) * i##_span, (int)(n));                  \
    for (int i = (int)get_global_id(0) * i##_span, v = i % (vectors); i < i##_end;              \
         ++i, v = v + 1 == (vectors) ? 0 : v + 1)
#else
#define FOR_CHANNELS(i, v, n, vectors)                                                          \
    for (int i = (int)get_global_id(0), v = i % (vectors); i < (int)(n);                        \
         i += (int)get_global_size(0), v = i % (vectors))
#endif

// Kernels for several tensors of n vectors each: T(i) for each that there can be, in lists of parameters and to pick
// what is i-th; a group works on TENSOR_SPAN vectors of one tensor. Mirrors `MultiTensorOperator` on the host.
#define TENSORS_24(T)                                                                           \
    T(0) T(1) T(2) T(3) T(4) T(5) T(6) T(7) T(8) T(9) T(10) T(11)                               \
    T(12) T(13) T(14) T(15) T(16) T(17) T(18) T(19) T(20) T(21) T(22) T(23)
#define TENSORS_28(T) TENSORS_24(T) T(24) T(25) T(26) T(27)
#if CPU_FAMILY
#define TENSOR_SPAN 256
#else
#define TENSOR_SPAN 64
#endif
#define TENSOR_GROUPS(n) (((n) + TENSOR_SPAN - 1) / TENSOR_SPAN)
#define TENSOR_INDEX(n) ((int)get_group_id(0) / TENSOR_GROUPS(n))
#define FOR_TENSOR(i, n)                                                                        \
    const int i##_begin = (int)get_group_id(0) % TENSOR_GROUPS(n) * TENSOR_SPAN;                \
    const int i##_end = min(i##_begin + TENSOR_SPAN, (int)(n));                                 \
    for (int i = i##_begin + (int)get_local_id(0); i < i##_end; i += GROUP_ITEMS)

// Before loops over arrays that registers hold. Compilers know one of the two, and without it the arrays go to memory.
#define UNROLLED _Pragma("unroll") __attribute__((opencl_unroll_hint))

// Vectors side by side per step of a work-item, where the host says that rows are that wide.
#ifndef VG
#define VG 1
#endif
#define EACH(k) UNROLLED for (int k = 0; k < VG; ++k)

// max(v, 0) that keeps NaN, so that a broken activation reaches the loss and the finite check.
static inline floatW rectify(floatW v) { return select(v, (floatW)(0.0f), v < 0.0f); }

// What follows a convolution's sum, before it is stored. Mirrors `ConvolutionEpilogue` on the host.
#define HAS_BIAS 1
#define HAS_AFFINE 2
#define HAS_RESIDUAL 4
#define HAS_RELU 8

// `read` and `read_residual` are how W channels are read from there.
#define EPILOGUE(sum, scale, shift, residual, flags, read, read_residual)          \
    {                                                                               \
        if ((flags) & HAS_AFFINE) sum = fma(sum, read(scale), read(shift));         \
        if ((flags) & HAS_RESIDUAL) sum += read_residual(residual);                 \
        if ((flags) & HAS_RELU) sum = rectify(sum);                                 \
    }
static inline floatW read_vector(__global const float *p) { return VLOAD(0, p); }
static inline floatW epilogue(floatW sum, __global const float *scale, __global const float *shift,
                              __global const float *residual, int flags) {
    EPILOGUE(sum, scale, shift, residual, flags, read_vector, read_vector)
    return sum;
}

// 16 x 16 floats in place: rows[i].s[j] <-> rows[j].s[i], by halves, quarters, pairs and neighbours.
#define SWAP_BLOCKS(rows, distance, first, second)                    \
    UNROLLED                                                          \
    for (int i = 0; i < 16; ++i)                                      \
        if ((i & (distance)) == 0) {                                  \
            const float16 a = (rows)[i], b = (rows)[i + (distance)];  \
            (rows)[i] = first;                                        \
            (rows)[i + (distance)] = second;                          \
        }
#define TRANSPOSE(rows)                                               \
    SWAP_BLOCKS(rows, 8, (float16)(a.lo, b.lo), (float16)(a.hi, b.hi)) \
    SWAP_BLOCKS(rows, 4, (float16)(a.s0123, b.s0123, a.s89ab, b.s89ab), (float16)(a.s4567, b.s4567, a.scdef, b.scdef)) \
    SWAP_BLOCKS(rows, 2, (float16)(a.s01, b.s01, a.s45, b.s45, a.s89, b.s89, a.scd, b.scd), \
                (float16)(a.s23, b.s23, a.s67, b.s67, a.sab, b.sab, a.sef, b.sef))          \
    SWAP_BLOCKS(rows, 1,                                                                     \
                (float16)(a.s0, b.s0, a.s2, b.s2, a.s4, b.s4, a.s6, b.s6,                    \
                          a.s8, b.s8, a.sa, b.sa, a.sc, b.sc, a.se, b.se),                   \
                (float16)(a.s1, b.s1, a.s3, b.s3, a.s5, b.s5, a.s7, b.s7,                    \
                          a.s9, b.s9, a.sb, b.sb, a.sd, b.sd, a.sf, b.sf))

// Writes a tensor of one number, pads included.
static inline void store_scalar(__global float *p, float value) {
    p[0] = value;
    for (int i = 1; i < 16; ++i) p[i] = 0.0f;
}

#if CPU_FAMILY || W == 4
static inline float horizontal_sum(floatW v) {
#if CPU_FAMILY
    const float8 a = v.lo + v.hi;
    const float4 b = a.lo + a.hi;
#else
    const float4 b = v;
#endif
    const float2 c = b.lo + b.hi;
    return c.x + c.y;
}

static inline float horizontal_max(floatW v) {
#if CPU_FAMILY
    const float8 a = fmax(v.lo, v.hi);
    const float4 b = fmax(a.lo, a.hi);
#else
    const float4 b = v;
#endif
    const float2 c = fmax(b.lo, b.hi);
    return fmax(c.x, c.y);
}
#endif

// What adds up partial results: work-groups of GROUP_ITEMS items on GPUs, each item on CPUs. GROUP_MEMORY goes with the
// kernel's variables; every item of a group calls `group_sum`, for numbers, and `group_sums`, for vectors, which add in
// a fixed order.
#if CPU_FAMILY
#define GROUP_ITEMS 1
#define GROUP_MEMORY
#define group_sum(value) (value)
#define group_sums(value) (value)
#else
#define GROUP_ITEMS 64
#define GROUP_MEMORY __local floatW group_memory[GROUP_ITEMS];
#define group_sum(value) sums_of_group((floatW)(value), group_memory).x
#define group_sums(value) sums_of_group(value, group_memory)
static inline floatW sums_of_group(floatW value, __local floatW *memory) {
    const int item = (int)get_local_id(0);
    memory[item] = value;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int width = GROUP_ITEMS / 2; width > 0; width /= 2) {
        if (item < width) memory[item] += memory[item + width];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    const floatW sum = memory[0];
    barrier(CLK_LOCAL_MEM_FENCE);
    return sum;
}
#endif

// Two numbers of each item become two of each group, partial [2][groups]; and those the sums of one group.
#define STORE_PARTIALS(partial, first, second)                                                  \
    {                                                                                           \
        const float group_first = group_sum(first), group_second = group_sum(second);           \
        if (get_local_id(0) == 0) {                                                             \
            partial[get_group_id(0)] = group_first;                                             \
            partial[get_num_groups(0) + get_group_id(0)] = group_second;                        \
        }                                                                                       \
    }
#define ADD_PARTIALS(partial, count, first, second)                                             \
    float first = 0.0f, second = 0.0f;                                                          \
    for (int i = (int)get_local_id(0); i < (count); i += GROUP_ITEMS) {                               \
        first += partial[i];                                                                    \
        second += partial[(count) + i];                                                         \
    }                                                                                           \
    first = group_sum(first);                                                                   \
    second = group_sum(second);

// The step buffer: everything that changes from step to step. Mirrors `StepState` on the host.
#define STEP_INDEX 0
#define STEP_SEED_LOW 1
#define STEP_SEED_HIGH 2
#define STEP_PHASE 3
#define STEP_TEMPERATURE 4
#define STEP_BUDGET 5      // share of all branches that the expected cost is steered to
#define STEP_RATES 8    // learning rate of group g at STEP_RATES + 4 g, then 1 - beta1^t, sqrt(1 - beta2^t)

// Philox 4x32-10 (Salmon, Moraes, Dror, Shaw 2011), one counter per vector lane.
#define PHILOX_ROUNDS(T)                                                                        \
    for (int round = 0; round < 10; ++round) {                                                  \
        const T high0 = mul_hi((T)(0xD2511F53u), c0), low0 = (T)(0xD2511F53u) * c0;             \
        const T high1 = mul_hi((T)(0xCD9E8D57u), c2), low1 = (T)(0xCD9E8D57u) * c2;             \
        c0 = high1 ^ c1 ^ (T)(k0);                                                              \
        c1 = low1;                                                                              \
        c2 = high0 ^ c3 ^ (T)(k1);                                                              \
        c3 = low0;                                                                              \
        k0 += 0x9E3779B9u;                                                                      \
        k1 += 0xBB67AE85u;                                                                      \
    }

// Uniform in (0, 1) from 23 random bits: (k + 1/2) 2^-23, exact in float32 and never 0 or 1.
#define UNIT_UNIFORM(bits, convert) ((convert((bits) >> 9) + 0.5f) * 1.1920928955078125e-7f)
