/* The version that the library was built as. */
#include <cnn.h>

const char *cnn_version(void) {
    return CNN_VERSION;
}
