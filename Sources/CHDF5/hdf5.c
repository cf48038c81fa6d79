#include "reader.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

// libhdf5 brings thirty libraries with it (networks, logins), which few programs here ever need: it is loaded where a
// file is first opened. So what is used of its interface, stable since version 1.10, is declared here.
typedef int64_t hid_t;
typedef int herr_t;
typedef unsigned long long hsize_t;
typedef struct {
    hid_t class, major, minor;
    unsigned line;
    const char *function, *file, *desc;
} error_record;
enum { H5P_DEFAULT = 0, H5E_DEFAULT = 0, H5F_ACC_RDONLY = 0, H5S_SELECT_SET = 0, H5E_WALK_UPWARD = 0 };
enum { H5T_INTEGER = 0, H5T_FLOAT = 1, H5T_SGN_NONE = 0 };
enum { H5D_COMPACT = 0, H5D_CONTIGUOUS = 1, H5D_CHUNKED = 2 };

// name, result, parameters
#define FUNCTIONS(X)                                                                                               \
    X(H5open, herr_t, (void))                                                                                      \
    X(H5Eset_auto2, herr_t, (hid_t, void *, void *))                                                               \
    X(H5Ewalk2, herr_t, (hid_t, int, herr_t (*)(unsigned, const error_record *, void *), void *))                  \
    X(H5Pcreate, hid_t, (hid_t))                                                                                   \
    X(H5Pset_file_locking, herr_t, (hid_t, bool, bool))                                                            \
    X(H5Pget_layout, int, (hid_t))                                                                                 \
    X(H5Pget_chunk, int, (hid_t, int, hsize_t *))                                                                  \
    X(H5Pclose, herr_t, (hid_t))                                                                                   \
    X(H5Fopen, hid_t, (const char *, unsigned, hid_t))                                                             \
    X(H5Fget_filesize, herr_t, (hid_t, hsize_t *))                                                                 \
    X(H5Fclose, herr_t, (hid_t))                                                                                   \
    X(H5Dopen2, hid_t, (hid_t, const char *, hid_t))                                                               \
    X(H5Dget_type, hid_t, (hid_t))                                                                                 \
    X(H5Dget_space, hid_t, (hid_t))                                                                                \
    X(H5Dget_create_plist, hid_t, (hid_t))                                                                         \
    X(H5Dget_storage_size, hsize_t, (hid_t))                                                                       \
    X(H5Dread, herr_t, (hid_t, hid_t, hid_t, hid_t, hid_t, void *))                                                \
    X(H5Dclose, herr_t, (hid_t))                                                                                   \
    X(H5Tget_size, size_t, (hid_t))                                                                                \
    X(H5Tget_class, int, (hid_t))                                                                                  \
    X(H5Tget_sign, int, (hid_t))                                                                                   \
    X(H5Tclose, herr_t, (hid_t))                                                                                   \
    X(H5Sget_simple_extent_ndims, int, (hid_t))                                                                    \
    X(H5Sget_simple_extent_dims, int, (hid_t, hsize_t *, hsize_t *))                                               \
    X(H5Screate_simple, hid_t, (int, const hsize_t *, const hsize_t *))                                            \
    X(H5Sselect_hyperslab, herr_t, (hid_t, int, const hsize_t *, const hsize_t *, const hsize_t *, const hsize_t *)) \
    X(H5Sclose, herr_t, (hid_t))
#define TYPES(X) X(H5P_CLS_FILE_ACCESS_ID_g) X(H5T_NATIVE_UINT8_g) X(H5T_NATIVE_UINT16_g) X(H5T_NATIVE_FLOAT_g) \
    X(H5T_NATIVE_DOUBLE_g)

#define DECLARE(name, result, parameters) static result(*name) parameters;
FUNCTIONS(DECLARE)
#define DECLARE_TYPE(name) static const hid_t *name;
TYPES(DECLARE_TYPE)

// Has libhdf5 load none of the libraries that a file's filters name by number; nil where it never would.
static herr_t (*set_loading)(unsigned);

static bool missing(void *library, const char *name, adashare_hdf5_message *message) {
    snprintf(message->text, sizeof message->text, "a libhdf5 without %s", name);
    message->lacks_library = true;
    dlclose(library);
    return false;
}

bool reader_load(adashare_hdf5_message *message) {
    static bool is_loaded;
    if (is_loaded) return true;
    // As Debian calls it, then as others do.
    const char *names[] = {"libhdf5_serial.so.103", "libhdf5_serial.so.310", "libhdf5.so.103",
                           "libhdf5.so.200",        "libhdf5.so.310",        "libhdf5.so"};
    void *library = NULL;
    for (size_t i = 0; library == NULL && i < sizeof names / sizeof *names; i++) {
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    }
    if (library == NULL) {
        snprintf(message->text, sizeof message->text, "no libhdf5 on this machine");
        message->lacks_library = true;
        return false;
    }
#define FIND(name, result, parameters) \
    if ((*(void **)&name = dlsym(library, #name)) == NULL) return missing(library, #name, message);
#define FIND_TYPE(name) \
    if ((name = dlsym(library, #name)) == NULL) return missing(library, #name, message);
    FUNCTIONS(FIND)
    TYPES(FIND_TYPE)
    *(void **)&set_loading = dlsym(library, "H5PLset_loading_state");
    is_loaded = true;
    return true;
}

// The innermost complaint says what is wrong, those around it only who asked.
static herr_t take_first(unsigned number, const error_record *error, void *target) {
    adashare_hdf5_message *message = target;
    if (number == 0) snprintf(message->text, sizeof message->text, "%s", error->desc);
    return 0;
}

static bool fail(adashare_hdf5_message *message) {
    message->text[0] = '\0';
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_first, message);
    if (message->text[0] == '\0') snprintf(message->text, sizeof message->text, "libhdf5 gave no reason");
    // One line, whatever names a damaged file holds.
    for (char *at = message->text; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ') *at = ' ';
    }
    return false;
}

bool reader_open(const char *path, int64_t *file, adashare_hdf5_message *message) {
    if (H5open() < 0) {
        snprintf(message->text, sizeof message->text, "libhdf5 does not start");
        return false;
    }
    if (set_loading != NULL) set_loading(0);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    const hid_t access = H5Pcreate(*H5P_CLS_FILE_ACCESS_ID_g);
    if (access < 0) return fail(message);
    // Reading needs no lock, and some network disks have none.
    H5Pset_file_locking(access, false, true);
    *file = H5Fopen(path, H5F_ACC_RDONLY, access);
    const bool opened = *file >= 0 || fail(message);
    H5Pclose(access);
    return opened;
}

static adashare_hdf5_element element_of(hid_t type) {
    const size_t size = H5Tget_size(type);
    switch (H5Tget_class(type)) {
    case H5T_INTEGER:
        if (H5Tget_sign(type) != H5T_SGN_NONE) return ADASHARE_HDF5_OTHER;
        return size == 1 ? ADASHARE_HDF5_UINT8 : size == 2 ? ADASHARE_HDF5_UINT16 : ADASHARE_HDF5_OTHER;
    case H5T_FLOAT:
        return size == 4 ? ADASHARE_HDF5_FLOAT32 : size == 8 ? ADASHARE_HDF5_FLOAT64 : ADASHARE_HDF5_OTHER;
    default: return ADASHARE_HDF5_OTHER;
    }
}

static bool lengths_of(hid_t space, int *axes, hsize_t *lengths, adashare_hdf5_message *message) {
    *axes = H5Sget_simple_extent_ndims(space);
    if (*axes < 0) return fail(message);
    if (*axes < 1 || *axes > ADASHARE_HDF5_MOST_AXES) {
        snprintf(message->text, sizeof message->text, "an array of %d axes", *axes);
        return false;
    }
    return H5Sget_simple_extent_dims(space, lengths, NULL) >= 0 || fail(message);
}

// `each` times all lengths; 0 where that is more than can be counted.
static hsize_t product(hsize_t each, int axes, const hsize_t *lengths) {
    for (int axis = 0; axis < axes; axis++) {
        if (__builtin_mul_overflow(each, lengths[axis], &each)) return 0;
    }
    return each;
}

// Whether a file can hold what an array claims: libhdf5 1.10 believes it, and reads beyond its memory or takes as much
// as a chunk is said to have. A byte of deflate stands for 1032 at most.
static bool check_room(
    int64_t file, hid_t data, hid_t type, int axes, const hsize_t *lengths, adashare_hdf5_message *message) {
    const hid_t made = H5Dget_create_plist(data);
    hsize_t size = 0, chunk[ADASHARE_HDF5_MOST_AXES] = {0}, unpacked;
    bool done = (made >= 0 && H5Fget_filesize(file, &size) >= 0) || fail(message);
    if (done) {
        // 0 where the list of chunks is damaged.
        const hsize_t stored = H5Dget_storage_size(data);
        if (__builtin_mul_overflow(size, 1032, &unpacked)) unpacked = size;
        hsize_t claimed = 0;
        switch (H5Pget_layout(made)) {
        case H5D_COMPACT:
        case H5D_CONTIGUOUS:
            claimed = product(H5Tget_size(type), axes, lengths);
            unpacked = stored;
            break;
        case H5D_CHUNKED:
            if (H5Pget_chunk(made, axes, chunk) == axes) claimed = product(H5Tget_size(type), axes, chunk);
            break;
        default: break;
        }
        if (claimed == 0 || claimed > unpacked || stored == 0 || stored > size) {
            snprintf(message->text, sizeof message->text, "a shape for which there are too few bytes");
            done = false;
        }
    }
    if (made >= 0) H5Pclose(made);
    return done;
}

bool reader_describe(
    int64_t file, const char *name, adashare_hdf5_array *array, adashare_hdf5_message *message) {
    const hid_t data = H5Dopen2(file, name, H5P_DEFAULT);
    if (data < 0) return fail(message);
    const hid_t type = H5Dget_type(data), space = H5Dget_space(data);
    hsize_t lengths[ADASHARE_HDF5_MOST_AXES] = {0};
    bool done = (type >= 0 && space >= 0) || fail(message);
    done = done && lengths_of(space, &array->axes, lengths, message) &&
           check_room(file, data, type, array->axes, lengths, message);
    if (done) {
        array->element = element_of(type);
        for (int axis = 0; axis < array->axes; axis++) array->lengths[axis] = lengths[axis];
    }
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    H5Dclose(data);
    return done;
}

bool reader_read(
    int64_t file, const char *name, uint64_t index, adashare_hdf5_element element, size_t count, void *values,
    adashare_hdf5_message *message) {
    const hid_t data = H5Dopen2(file, name, H5P_DEFAULT);
    if (data < 0) return fail(message);
    const hid_t space = H5Dget_space(data), type = H5Dget_type(data);
    hsize_t start[ADASHARE_HDF5_MOST_AXES] = {index}, lengths[ADASHARE_HDF5_MOST_AXES] = {0};
    int axes = 0;
    bool done = space >= 0 ? lengths_of(space, &axes, lengths, message) : fail(message);
    // libhdf5 1.10 reads beyond its memory where a damaged type has it convert what it cannot.
    if (done && (type < 0 || element_of(type) == ADASHARE_HDF5_OTHER)) {
        snprintf(message->text, sizeof message->text, "elements of another type");
        done = false;
    }
    lengths[0] = 1;
    const hsize_t held = product(1, axes, lengths);
    if (done && held != count) {
        snprintf(message->text, sizeof message->text, "%llu elements, not %zu", (unsigned long long)held, count);
        done = false;
    }
    hid_t memory = -1;
    if (done) {
        const hsize_t flat = count;
        memory = H5Screate_simple(1, &flat, NULL);
        const hid_t types[] = {
            *H5T_NATIVE_UINT8_g, *H5T_NATIVE_UINT16_g, *H5T_NATIVE_FLOAT_g, *H5T_NATIVE_DOUBLE_g};
        done = (memory >= 0 && H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, lengths, NULL) >= 0 &&
                H5Dread(data, types[element], memory, space, H5P_DEFAULT, values) >= 0) ||
               fail(message);
    }
    if (memory >= 0) H5Sclose(memory);
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    H5Dclose(data);
    return done;
}
