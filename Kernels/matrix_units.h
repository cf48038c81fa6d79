// Instructions of NVIDIA's processors (PTX ISA) for matrix products, for groups of 32 items; for devices whose compiler
// was found to take them.

// c (16 x 8) += a (16 x 8) b (8 x 8) of TensorFloat-32 operands, four, four and two numbers of which each item has:
// mma.m16n8k8.
#define MMA_TF32(c0, c1, c2, c3, a0, a1, a2, a3, b0, b1)                                                              \
    __asm__ volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "        \
                     "{%8, %9}, {%0, %1, %2, %3};"                                                                    \
                     : "+f"(c0), "+f"(c1), "+f"(c2), "+f"(c3)                                                         \
                     : "r"(as_uint(a0)), "r"(as_uint(a1)), "r"(as_uint(a2)), "r"(as_uint(a3)), "r"(as_uint(b0)),      \
                       "r"(as_uint(b1)))

// c (16 x 8) += a (16 x 16) b (16 x 8) of bfloat16 operands, eight (a uint4), four and four of which each item has:
// mma.m16n8k16.
#define MMA_BFLOAT16(c0, c1, c2, c3, a, b0, b1)                                                                       \
    __asm__ volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "       \
                     "{%8, %9}, {%0, %1, %2, %3};"                                                                    \
                     : "+f"(c0), "+f"(c1), "+f"(c2), "+f"(c3)                                                         \
                     : "r"(a.x), "r"(a.y), "r"(a.z), "r"(a.w), "r"(b0), "r"(b1))

// The nearest number of 10 bits of mantissa, ties away from zero; and the nearest two of 7 bits, ties to even, first
// the one in the lower half. What is no number stays so.
#define ROUND_TF32(to, from) __asm__("cvt.rna.tf32.f32 %0, %1;" : "=r"(to) : "f"(from))
#define ROUND_BFLOAT16(to, low, high) __asm__("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(to) : "f"(high), "f"(low))

#define LOCAL_ADDRESS(p) "r"((uint)(size_t)(p))

// Four 8 x 8 matrices of 16-bit values; lane 8 i + r names row r of the i-th, 16 bytes of local memory. An item gets
// row lane / 4 at 2 (lane % 4) and the next, or transposed, rows 2 (lane % 4) and the next at lane / 4.
#define LOAD_MATRICES(r0, r1, r2, r3, row)                                                                            \
    __asm__ volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"                               \
                     : "=r"(r0), "=r"(r1), "=r"(r2), "=r"(r3) : LOCAL_ADDRESS(row) : "memory")
#define LOAD_MATRICES_TRANSPOSED(r0, r1, r2, r3, row)                                                                 \
    __asm__ volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"                         \
                     : "=r"(r0), "=r"(r1), "=r"(r2), "=r"(r3) : LOCAL_ADDRESS(row) : "memory")

// 16 bytes from global to local memory, the first `count` of them, then zeros; with the copies of the same group.
#define COPY_ASYNC(to, from, count)                                                                                   \
    __asm__ volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"                                                  \
                     : : LOCAL_ADDRESS(to), "l"((ulong)(size_t)(from)), "r"(count) : "memory")
// Ends a group of copies; and waits until all but the last `groups` of an item's groups have arrived.
#define COPIES_STARTED __asm__ volatile("cp.async.commit_group;" : : : "memory")
#define COPIES_ARRIVED(groups) __asm__ volatile("cp.async.wait_group %0;" : : "n"(groups) : "memory")
