/* A device that fails: a layer between OpenCL's loader and its drivers.
 *
 *     cc -shared -fPIC -O2 -o opencl_faults.so opencl_faults.c
 *     OPENCL_LAYERS=$PWD/opencl_faults.so OPENCL_FAULTS_CALL=clEnqueueNDRangeKernel OPENCL_FAULTS_AT=7 PROGRAM
 *
 *   OPENCL_FAULTS_CALL     the function whose n-th call fails; "any" counts the calls of all of them together
 *   OPENCL_FAULTS_AT       n, counted from 1
 *   OPENCL_FAULTS_STATUS   what it answers; -5, out of resources, where nothing is said. A build that answers -11 has
 *                          a build log of two lines
 *   OPENCL_FAULTS_LOST     1: every call after it fails as well, releases among them, as of a device that is gone
 *   OPENCL_FAULTS_DELAY    microseconds that commands and waits are held up by at most, more for some than for others;
 *                          and events are said to be under way for the first times that somebody asks
 *   OPENCL_FAULTS_COUNTS   a file that takes, at the end of the process, a line for each function: its name, its calls
 *
 * A call that fails has done nothing. */
#define CL_TARGET_OPENCL_VERSION 120
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#define _GNU_SOURCE
#include <CL/cl.h>
#include <CL/cl_layer.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct _cl_icd_dispatch *next;
static struct _cl_icd_dispatch own;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct { const char *name; long calls; } functions[64];
static int functionCount;
static long allCalls;
static bool isLost;
static struct { const char *call; long at; int status; bool loses; long delay; const char *counts; } settings;
static unsigned long chance = 1;

static void readSettings(void) {
    const char *at = getenv("OPENCL_FAULTS_AT"), *status = getenv("OPENCL_FAULTS_STATUS");
    const char *lost = getenv("OPENCL_FAULTS_LOST"), *delay = getenv("OPENCL_FAULTS_DELAY");
    settings.call = getenv("OPENCL_FAULTS_CALL");
    settings.at = at ? atol(at) : 0;
    settings.status = status && *status ? atoi(status) : CL_OUT_OF_RESOURCES;
    settings.loses = lost && *lost == '1';
    settings.delay = delay ? atol(delay) : 0;
    settings.counts = getenv("OPENCL_FAULTS_COUNTS");
}

static void __attribute__((destructor)) writeCounts(void) {
    FILE *file = settings.counts ? fopen(settings.counts, "a") : NULL;
    if (!file) return;
    for (int i = 0; i < functionCount; i++) fprintf(file, "%s %ld\n", functions[i].name, functions[i].calls);
    fclose(file);
}

/* Counts a call: the status that it is to end with. */
static cl_int fault(const char *name) {
    pthread_mutex_lock(&lock);
    int i = 0;
    while (i < functionCount && strcmp(functions[i].name, name)) i++;
    if (i == functionCount && i < (int)(sizeof functions / sizeof *functions)) functions[functionCount++].name = name;
    functions[i].calls++;
    allCalls++;
    bool isIt = isLost;
    if (settings.call && settings.at > 0) {
        if (!strcmp(settings.call, "any")) isIt = isIt || allCalls == settings.at;
        else isIt = isIt || (!strcmp(settings.call, name) && functions[i].calls == settings.at);
    }
    if (isIt && settings.loses) isLost = true;
    pthread_mutex_unlock(&lock);
    return isIt ? settings.status : CL_SUCCESS;
}

static unsigned long drawn(void) {
    pthread_mutex_lock(&lock);
    chance = chance * 6364136223846793005UL + 1442695040888963407UL;
    unsigned long value = chance >> 33;
    pthread_mutex_unlock(&lock);
    return value;
}

static void hold(void) {
    if (settings.delay > 0) usleep((useconds_t)(drawn() % (unsigned long)settings.delay));
}

#define PLAIN(name, parameters, arguments) \
    static cl_int CL_API_CALL fail_##name parameters { \
        cl_int status = fault(#name); \
        return status ? status : next->name arguments; \
    }
#define COMMAND(name, parameters, arguments) \
    static cl_int CL_API_CALL fail_##name parameters { \
        cl_int status = fault(#name); \
        if (status) return status; \
        hold(); \
        return next->name arguments; \
    }
/* Of functions that return an object and leave their status behind the last pointer. */
#define MAKER(type, name, parameters, arguments) \
    static type CL_API_CALL fail_##name parameters { \
        cl_int failed = fault(#name); \
        if (!failed) return next->name arguments; \
        if (status) *status = failed; \
        return NULL; \
    }

#define INFO_PARAMETERS size_t size, void *value, size_t *needed
#define INFO size, value, needed
#define WAIT_PARAMETERS cl_uint count, const cl_event *events, cl_event *event
#define WAIT count, events, event

PLAIN(clGetPlatformIDs, (cl_uint count, cl_platform_id *platforms, cl_uint *found), (count, platforms, found))
PLAIN(clGetPlatformInfo, (cl_platform_id of, cl_platform_info name, INFO_PARAMETERS), (of, name, INFO))
PLAIN(clGetDeviceIDs, (cl_platform_id of, cl_device_type type, cl_uint count, cl_device_id *devices, cl_uint *found),
    (of, type, count, devices, found))
PLAIN(clGetDeviceInfo, (cl_device_id of, cl_device_info name, INFO_PARAMETERS), (of, name, INFO))
PLAIN(clGetCommandQueueInfo, (cl_command_queue of, cl_command_queue_info name, INFO_PARAMETERS), (of, name, INFO))
PLAIN(clGetProgramInfo, (cl_program of, cl_program_info name, INFO_PARAMETERS), (of, name, INFO))
PLAIN(clGetKernelInfo, (cl_kernel of, cl_kernel_info name, INFO_PARAMETERS), (of, name, INFO))
PLAIN(clGetKernelWorkGroupInfo, (cl_kernel of, cl_device_id on, cl_kernel_work_group_info name, INFO_PARAMETERS),
    (of, on, name, INFO))
PLAIN(clGetEventProfilingInfo, (cl_event of, cl_profiling_info name, INFO_PARAMETERS), (of, name, INFO))
PLAIN(clSetKernelArg, (cl_kernel of, cl_uint index, size_t size, const void *value), (of, index, size, value))
PLAIN(clReleaseContext, (cl_context it), (it))
PLAIN(clReleaseCommandQueue, (cl_command_queue it), (it))
PLAIN(clReleaseMemObject, (cl_mem it), (it))
PLAIN(clReleaseProgram, (cl_program it), (it))
PLAIN(clReleaseKernel, (cl_kernel it), (it))
PLAIN(clReleaseEvent, (cl_event it), (it))

COMMAND(clFlush, (cl_command_queue queue), (queue))
COMMAND(clFinish, (cl_command_queue queue), (queue))
COMMAND(clWaitForEvents, (cl_uint count, const cl_event *events), (count, events))
COMMAND(clEnqueueNDRangeKernel,
    (cl_command_queue queue, cl_kernel kernel, cl_uint dimensions, const size_t *offset, const size_t *global,
        const size_t *local, WAIT_PARAMETERS),
    (queue, kernel, dimensions, offset, global, local, WAIT))
COMMAND(clEnqueueReadBuffer,
    (cl_command_queue queue, cl_mem buffer, cl_bool blocks, size_t offset, size_t size, void *memory, WAIT_PARAMETERS),
    (queue, buffer, blocks, offset, size, memory, WAIT))
COMMAND(clEnqueueWriteBuffer,
    (cl_command_queue queue, cl_mem buffer, cl_bool blocks, size_t offset, size_t size, const void *memory,
        WAIT_PARAMETERS),
    (queue, buffer, blocks, offset, size, memory, WAIT))
COMMAND(clEnqueueCopyBuffer,
    (cl_command_queue queue, cl_mem from, cl_mem to, size_t fromOffset, size_t toOffset, size_t size, WAIT_PARAMETERS),
    (queue, from, to, fromOffset, toOffset, size, WAIT))
COMMAND(clEnqueueFillBuffer,
    (cl_command_queue queue, cl_mem buffer, const void *pattern, size_t length, size_t offset, size_t size,
        WAIT_PARAMETERS),
    (queue, buffer, pattern, length, offset, size, WAIT))
COMMAND(clEnqueueUnmapMemObject, (cl_command_queue queue, cl_mem buffer, void *memory, WAIT_PARAMETERS),
    (queue, buffer, memory, WAIT))
COMMAND(clEnqueueMarkerWithWaitList, (cl_command_queue queue, WAIT_PARAMETERS), (queue, WAIT))
COMMAND(clEnqueueBarrierWithWaitList, (cl_command_queue queue, WAIT_PARAMETERS), (queue, WAIT))

MAKER(cl_context, clCreateContext,
    (const cl_context_properties *properties, cl_uint count, const cl_device_id *devices,
        void (CL_CALLBACK *notify)(const char *, const void *, size_t, void *), void *data, cl_int *status),
    (properties, count, devices, notify, data, status))
MAKER(cl_command_queue, clCreateCommandQueue,
    (cl_context in, cl_device_id on, cl_command_queue_properties properties, cl_int *status),
    (in, on, properties, status))
MAKER(cl_mem, clCreateBuffer, (cl_context in, cl_mem_flags flags, size_t size, void *memory, cl_int *status),
    (in, flags, size, memory, status))
MAKER(cl_mem, clCreateSubBuffer,
    (cl_mem of, cl_mem_flags flags, cl_buffer_create_type type, const void *region, cl_int *status),
    (of, flags, type, region, status))
MAKER(cl_program, clCreateProgramWithSource,
    (cl_context in, cl_uint count, const char **texts, const size_t *lengths, cl_int *status),
    (in, count, texts, lengths, status))
MAKER(cl_program, clCreateProgramWithBinary,
    (cl_context in, cl_uint count, const cl_device_id *devices, const size_t *lengths, const unsigned char **binaries,
        cl_int *each, cl_int *status),
    (in, count, devices, lengths, binaries, each, status))
MAKER(cl_kernel, clCreateKernel, (cl_program of, const char *name, cl_int *status), (of, name, status))
MAKER(void *, clEnqueueMapBuffer,
    (cl_command_queue queue, cl_mem buffer, cl_bool blocks, cl_map_flags flags, size_t offset, size_t size,
        WAIT_PARAMETERS, cl_int *status),
    (queue, buffer, blocks, flags, offset, size, WAIT, status))

/* Programs that have been refused. */
static cl_program refused;
static const char refusal[] = "kernel.cl:1:1: error: a fault of the tests\n1 error generated.\n";

static cl_int CL_API_CALL fail_clBuildProgram(
    cl_program program, cl_uint count, const cl_device_id *devices, const char *options,
    void (CL_CALLBACK *notify)(cl_program, void *), void *data) {
    cl_int status = fault("clBuildProgram");
    if (!status) return next->clBuildProgram(program, count, devices, options, notify, data);
    refused = program;
    return status;
}

static cl_int CL_API_CALL fail_clGetProgramBuildInfo(
    cl_program of, cl_device_id on, cl_program_build_info name, INFO_PARAMETERS) {
    cl_int status = fault("clGetProgramBuildInfo");
    if (status) return status;
    if (of != refused || name != CL_PROGRAM_BUILD_LOG) return next->clGetProgramBuildInfo(of, on, name, INFO);
    if (needed) *needed = sizeof refusal;
    if (value && size < sizeof refusal) return CL_INVALID_VALUE;
    if (value) memcpy(value, refusal, sizeof refusal);
    return CL_SUCCESS;
}

static cl_int CL_API_CALL fail_clGetEventInfo(cl_event of, cl_event_info name, INFO_PARAMETERS) {
    cl_int status = fault("clGetEventInfo");
    if (status) return status;
    status = next->clGetEventInfo(of, name, INFO);
    bool isStatus = name == CL_EVENT_COMMAND_EXECUTION_STATUS && !status && value && size >= sizeof(cl_int);
    if (settings.delay > 0 && isStatus && *(cl_int *)value == CL_COMPLETE && drawn() % 4)
        *(cl_int *)value = CL_RUNNING;
    return status;
}

#pragma GCC visibility push(default)

CL_API_ENTRY cl_int CL_API_CALL clGetLayerInfo(cl_layer_info name, INFO_PARAMETERS) {
    static const char label[] = "faults";
    cl_layer_api_version version = CL_LAYER_API_VERSION_100;
    const void *from = name == CL_LAYER_API_VERSION ? (const void *)&version : label;
    size_t length = name == CL_LAYER_API_VERSION ? sizeof version : sizeof label;
    if (name != CL_LAYER_API_VERSION && name != CL_LAYER_NAME) return CL_INVALID_VALUE;
    if (value && size < length) return CL_INVALID_VALUE;
    if (value) memcpy(value, from, length);
    if (needed) *needed = length;
    return CL_SUCCESS;
}

CL_API_ENTRY cl_int CL_API_CALL clInitLayer(
    cl_uint count, const struct _cl_icd_dispatch *target, cl_uint *countHere, const struct _cl_icd_dispatch **here) {
    cl_uint entries = sizeof own / sizeof own.clGetPlatformIDs;
    if (!target || !countHere || !here) return CL_INVALID_VALUE;
    size_t known = (count < entries ? count : entries) * sizeof own.clGetPlatformIDs;
    readSettings();
    next = target;
    memcpy(&own, target, known);
#define USE(name) own.name = fail_##name
    USE(clGetPlatformIDs); USE(clGetPlatformInfo); USE(clGetDeviceIDs); USE(clGetDeviceInfo);
    USE(clGetCommandQueueInfo); USE(clGetProgramInfo); USE(clGetProgramBuildInfo); USE(clGetKernelInfo);
    USE(clGetKernelWorkGroupInfo); USE(clGetEventInfo); USE(clGetEventProfilingInfo); USE(clSetKernelArg);
    USE(clReleaseContext); USE(clReleaseCommandQueue); USE(clReleaseMemObject); USE(clReleaseProgram);
    USE(clReleaseKernel); USE(clReleaseEvent); USE(clFlush); USE(clFinish); USE(clWaitForEvents);
    USE(clEnqueueNDRangeKernel); USE(clEnqueueReadBuffer); USE(clEnqueueWriteBuffer); USE(clEnqueueCopyBuffer);
    USE(clEnqueueFillBuffer); USE(clEnqueueMapBuffer); USE(clEnqueueUnmapMemObject);
    USE(clEnqueueMarkerWithWaitList); USE(clEnqueueBarrierWithWaitList); USE(clCreateContext);
    USE(clCreateCommandQueue); USE(clCreateBuffer); USE(clCreateSubBuffer); USE(clCreateProgramWithSource);
    USE(clCreateProgramWithBinary); USE(clCreateKernel); USE(clBuildProgram);
    *countHere = entries;
    *here = &own;
    return CL_SUCCESS;
}
