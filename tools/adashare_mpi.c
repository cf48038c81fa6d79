// What `adashare` asks of MPI, in a library of its own: `tools/build-mpi` compiles it with the `mpicc` of a machine,
// and the program loads it where `mpirun` or `srun` has started several processes. So one program works with every MPI,
// and without one.
//
// Transfers are begun and then asked about, so that nobody spins on a core that computes. All functions return MPI's
// status; every call comes from the thread that has called adashare_mpi_open.
#include <mpi.h>
#include <stdlib.h>
#include <string.h>

// Changes with every function's meaning: the program asks before it calls anything else.
int adashare_mpi_interface(void) { return 1; }

int adashare_mpi_open(int *rank, int *count, int *local_rank, int *local_count) {
    int provided = 0;
    int status = MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided);
    if (status == MPI_SUCCESS) status = MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    if (status == MPI_SUCCESS) status = MPI_Comm_rank(MPI_COMM_WORLD, rank);
    if (status == MPI_SUCCESS) status = MPI_Comm_size(MPI_COMM_WORLD, count);
    if (status != MPI_SUCCESS) return status;
    MPI_Comm local;  // The ranks of this host.
    status = MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &local);
    if (status != MPI_SUCCESS) return status;
    status = MPI_Comm_rank(local, local_rank);
    if (status == MPI_SUCCESS) status = MPI_Comm_size(local, local_count);
    MPI_Comm_free(&local);
    return status;
}

static MPI_Request *request_in(void **request) {
    *request = malloc(sizeof(MPI_Request));
    if (*request == NULL) abort();
    return *request;
}

// Sizes of one type of number: 1 for bytes, 4 for floats.
static MPI_Datatype type_of(int size) { return size == 4 ? MPI_FLOAT : MPI_BYTE; }

int adashare_mpi_gather_counts(const int *own, int *all, void **request) {
    return MPI_Iallgather(own, 1, MPI_INT, all, 1, MPI_INT, MPI_COMM_WORLD, request_in(request));
}

int adashare_mpi_gather(const void *own, int count, void *all, const int *counts, const int *offsets, int size,
                        void **request) {
    return MPI_Iallgatherv(own, count, type_of(size), all, counts, offsets, type_of(size), MPI_COMM_WORLD,
                           request_in(request));
}

int adashare_mpi_exchange(const float *own, const int *counts, const int *offsets, float *all, const int *all_counts,
                          const int *all_offsets, void **request) {
    return MPI_Ialltoallv(own, counts, offsets, MPI_FLOAT, all, all_counts, all_offsets, MPI_FLOAT, MPI_COMM_WORLD,
                          request_in(request));
}

// Frees the request once it is done.
int adashare_mpi_is_done(void **request, int *done) {
    const int status = MPI_Test(*request, done, MPI_STATUS_IGNORE);
    if (status != MPI_SUCCESS || !*done) return status;
    free(*request);
    *request = NULL;
    return status;
}

// A sign of life to one rank; nobody waits for it.
int adashare_mpi_beat(int rank, int tag) {
    static char nothing;
    MPI_Request request;
    const int status = MPI_Isend(&nothing, 1, MPI_CHAR, rank, tag, MPI_COMM_WORLD, &request);
    return status != MPI_SUCCESS ? status : MPI_Request_free(&request);
}

// Takes a sign of life that has come; rank -1 where none has.
int adashare_mpi_take_beat(int tag, int *rank) {
    int is_there = 0;
    MPI_Status from;
    *rank = -1;
    int status = MPI_Iprobe(MPI_ANY_SOURCE, tag, MPI_COMM_WORLD, &is_there, &from);
    if (status != MPI_SUCCESS || !is_there) return status;
    char nothing;
    status = MPI_Recv(&nothing, 1, MPI_CHAR, from.MPI_SOURCE, tag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    *rank = from.MPI_SOURCE;
    return status;
}

static void copy(const char *text, char *into, int size) {
    strncpy(into, text, (size_t)size - 1);
    into[size - 1] = 0;
}

// What a status means.
void adashare_mpi_error(int status, char *text, int size) {
    char all[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    MPI_Error_string(status, all, &length);
    copy(all, text, size);
}

// Name and version of the library.
void adashare_mpi_version(char *text, int size) {
    char all[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    int length = 0;
    MPI_Get_library_version(all, &length);
    copy(all, text, size);
}

int adashare_mpi_abort(int code) { return MPI_Abort(MPI_COMM_WORLD, code); }
int adashare_mpi_close(void) { return MPI_Finalize(); }
