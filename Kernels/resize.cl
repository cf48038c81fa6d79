// Nearest-neighbour resize: y[n,p,q] = x[n, floor(p H / P), floor(q W / Q)], exact integer arithmetic.
//
//   resize_forward   copies 4-byte words, so it serves float maps and integer labels alike
//   resize_backward  dx[n,h,w] = sum of dy over the (p, q) that read (h, w): a contiguous rectangle, a gather
//
// Layout: one work-item per pixel (q or w, p or h, n), on GPUs in groups that reach beyond the end of a row; C = words
// stored per pixel.

__kernel void resize_forward(__global const int *x, __global int *y, int H, int Wd, int P, int Q, int C) {
    const int q = (int)get_global_id(0), p = (int)get_global_id(1), n = (int)get_global_id(2);
    if (q >= Q) return;
    const size_t source = ((size_t)n * H + (int)((long)p * H / P)) * Wd + (int)((long)q * Wd / Q);
    const size_t target = ((size_t)n * P + p) * Q + q;
    for (int c = 0; c < C; ++c) y[target * C + c] = x[source * C + c];
}

__kernel void resize_backward(__global const float *dy, __global float *dx, int H, int Wd, int P, int Q, int C) {
    const int w = (int)get_global_id(0), h = (int)get_global_id(1), n = (int)get_global_id(2);
    if (w >= Wd) return;
    // p reads h exactly when h P <= p H < (h + 1) P.
    const int p0 = (int)(((long)h * P + H - 1) / H), p1 = (int)(((long)(h + 1) * P + H - 1) / H);
    const int q0 = (int)(((long)w * Q + Wd - 1) / Wd), q1 = (int)(((long)(w + 1) * Q + Wd - 1) / Wd);
    for (int c = 0; c < C; ++c) {
        float sum = 0.0f;
        for (int p = p0; p < p1; ++p)
            for (int q = q0; q < q1; ++q) sum += dy[(((size_t)n * P + p) * Q + q) * C + c];
        dx[(((size_t)n * H + h) * Wd + w) * C + c] = sum;
    }
}
