// Reading HDF5 files through libhdf5, which is loaded when a file is first opened; its errors come back as text and
// never reach a terminal.
//
// Each file is read by a process of its own: damaged ones make libhdf5 read and write beyond its memory, and what that
// ends or spoils is not the program. No two of these functions may run at once on one file.
#ifndef ADASHARE_CHDF5_H
#define ADASHARE_CHDF5_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// What libhdf5 had against a file: one line, null-terminated.
typedef struct {
    char text[256];
    /// Whether it is the library that is missing, not the file that is wrong.
    bool lacks_library;
} adashare_hdf5_message;

/// What the elements of an array are, in memory and in the file.
typedef enum {
    ADASHARE_HDF5_UINT8,
    ADASHARE_HDF5_UINT16,
    ADASHARE_HDF5_FLOAT32,
    ADASHARE_HDF5_FLOAT64,
    ADASHARE_HDF5_OTHER,
} adashare_hdf5_element;

/// More axes than any array here has.
enum { ADASHARE_HDF5_MOST_AXES = 8 };

/// An array of a file.
typedef struct {
    adashare_hdf5_element element;
    int axes;
    /// Lengths of the axes, the one that varies slowest first.
    uint64_t lengths[ADASHARE_HDF5_MOST_AXES];
} adashare_hdf5_array;

/// The process that reads a file; 0 where it has ended, after which the file is to be opened again.
typedef struct {
    int socket, process;
} adashare_hdf5_file;

/// Opens a file to read; `adashare_hdf5_close` gives it back. Returns false with a message.
bool adashare_hdf5_open(const char *path, adashare_hdf5_file *file, adashare_hdf5_message *message);

/// Closes a file, and waits for its process.
void adashare_hdf5_close(adashare_hdf5_file *file);

/// Says what an array is. Returns false with a message where there is none, or one of more axes.
bool adashare_hdf5_describe(
    adashare_hdf5_file *file, const char *name, adashare_hdf5_array *array, adashare_hdf5_message *message);

/// Reads what one index of the first axis holds: `count` elements, row-major, converted to `element`.
///
/// Returns false with a message if the array holds another number of elements there, or the file is damaged.
bool adashare_hdf5_read(
    adashare_hdf5_file *file, const char *name, uint64_t index, adashare_hdf5_element element, size_t count,
    void *values, adashare_hdf5_message *message);

#endif
