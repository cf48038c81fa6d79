#include "CHDF5.h"

#include <hdf5.h>
#include <stdio.h>
#include <string.h>

// The innermost complaint says what is wrong, those around it only who asked.
static herr_t take_first(unsigned number, const H5E_error2_t *error, void *target) {
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

bool adashare_hdf5_open(const char *path, int64_t *file, adashare_hdf5_message *message) {
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (access < 0) return fail(message);
    // Reading needs no lock, and some network disks have none.
    H5Pset_file_locking(access, false, true);
    *file = H5Fopen(path, H5F_ACC_RDONLY, access);
    const bool opened = *file >= 0 || fail(message);
    H5Pclose(access);
    return opened;
}

void adashare_hdf5_close(int64_t file) {
    H5Fclose(file);
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

bool adashare_hdf5_describe(
    int64_t file, const char *name, adashare_hdf5_array *array, adashare_hdf5_message *message) {
    const hid_t data = H5Dopen2(file, name, H5P_DEFAULT);
    if (data < 0) return fail(message);
    const hid_t type = H5Dget_type(data), space = H5Dget_space(data);
    hsize_t lengths[ADASHARE_HDF5_MOST_AXES] = {0};
    bool done = (type >= 0 && space >= 0) || fail(message);
    done = done && lengths_of(space, &array->axes, lengths, message);
    if (done) {
        array->element = element_of(type);
        for (int axis = 0; axis < array->axes; axis++) array->lengths[axis] = lengths[axis];
    }
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    H5Dclose(data);
    return done;
}

bool adashare_hdf5_read(
    int64_t file, const char *name, uint64_t index, adashare_hdf5_element element, size_t count, void *values,
    adashare_hdf5_message *message) {
    const hid_t data = H5Dopen2(file, name, H5P_DEFAULT);
    if (data < 0) return fail(message);
    const hid_t space = H5Dget_space(data);
    hsize_t start[ADASHARE_HDF5_MOST_AXES] = {index}, lengths[ADASHARE_HDF5_MOST_AXES] = {0}, held = 1;
    int axes = 0;
    bool done = space >= 0 ? lengths_of(space, &axes, lengths, message) : fail(message);
    lengths[0] = 1;
    for (int axis = 0; axis < axes; axis++) {
        if (__builtin_mul_overflow(held, lengths[axis], &held)) held = 0;
    }
    if (done && held != count) {
        snprintf(message->text, sizeof message->text, "%llu elements, not %zu", (unsigned long long)held, count);
        done = false;
    }
    hid_t memory = -1;
    if (done) {
        const hsize_t flat = count;
        memory = H5Screate_simple(1, &flat, NULL);
        const hid_t types[] = {H5T_NATIVE_UINT8, H5T_NATIVE_UINT16, H5T_NATIVE_FLOAT, H5T_NATIVE_DOUBLE};
        done = (memory >= 0 && H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, lengths, NULL) >= 0 &&
                H5Dread(data, types[element], memory, space, H5P_DEFAULT, values) >= 0) ||
               fail(message);
    }
    if (memory >= 0) H5Sclose(memory);
    if (space >= 0) H5Sclose(space);
    H5Dclose(data);
    return done;
}
