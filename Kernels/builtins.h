// The declarations of OpenCL's functions that kernels need, in place of clang's header, whose 18,000 lines pocl's
// compiler reads before every program: most of what a program costs. Only where the host found that to work
// (`OWN_BUILTINS`).
#define BUILTIN __attribute__((overloadable, const))
#define READS __attribute__((overloadable, pure))
#define WRITES __attribute__((overloadable))

BUILTIN size_t get_global_id(uint);
BUILTIN size_t get_global_size(uint);
BUILTIN size_t get_local_id(uint);
BUILTIN size_t get_group_id(uint);
BUILTIN size_t get_num_groups(uint);
__attribute__((overloadable, convergent)) void barrier(cl_mem_fence_flags);

#define FLOATS(T, I)             \
    BUILTIN T fma(T, T, T);      \
    BUILTIN T fmax(T, T);        \
    BUILTIN T sqrt(T);           \
    BUILTIN T exp(T);            \
    BUILTIN T log(T);            \
    BUILTIN T fabs(T);           \
    BUILTIN I isnan(T);          \
    BUILTIN T select(T, T, I);   \
    BUILTIN I select(I, I, I);
FLOATS(float, int)
FLOATS(float2, int2)
FLOATS(float4, int4)
FLOATS(float8, int8)
FLOATS(float16, int16)
BUILTIN float log1p(float);
BUILTIN float sign(float);
BUILTIN int isfinite(float);
BUILTIN float dot(float3, float3);
BUILTIN float4 fmax(float4, float);
BUILTIN float16 fmax(float16, float);

#define INTEGERS(T)        \
    BUILTIN T min(T, T);   \
    BUILTIN T max(T, T);   \
    BUILTIN T clamp(T, T, T);
INTEGERS(int)
INTEGERS(uint)
BUILTIN int mul_hi(int, int);
BUILTIN uint mul_hi(uint, uint);
BUILTIN uint4 mul_hi(uint4, uint4);
BUILTIN uint16 mul_hi(uint16, uint16);
BUILTIN int popcount(int);
BUILTIN uint2 select(uint2, uint2, int2);
BUILTIN uint4 select(uint4, uint4, int4);
BUILTIN uint8 select(uint8, uint8, int8);
BUILTIN uint16 select(uint16, uint16, int16);
BUILTIN float convert_float(int);
BUILTIN float convert_float(uint);
BUILTIN float4 convert_float4(uint4);
BUILTIN uint2 convert_uint2(ushort2);
BUILTIN uint8 convert_uint8(ushort8);
BUILTIN ushort2 convert_ushort2(uint2);
BUILTIN ushort8 convert_ushort8(uint8);
BUILTIN float16 convert_float16(uint16);
BUILTIN uint4 convert_uint4(ushort4);
BUILTIN uint16 convert_uint16(ushort16);
BUILTIN ushort4 convert_ushort4(uint4);
BUILTIN ushort16 convert_ushort16(uint16);

#define MEMORY(S, N, AREA)                      \
    READS S##N vload##N(size_t, const AREA S *); \
    WRITES void vstore##N(S##N, size_t, AREA S *);
#define AREAS(S, N)            \
    MEMORY(S, N, __global)     \
    MEMORY(S, N, __local)      \
    MEMORY(S, N, __private)
AREAS(float, 2)
AREAS(float, 4)
AREAS(float, 8)
AREAS(float, 16)
AREAS(uint, 4)
AREAS(ushort, 16)

#undef BUILTIN
#undef READS
#undef WRITES
#undef FLOATS
#undef INTEGERS
#undef MEMORY
#undef AREAS
