/* pictures.h: what a result holds as PNG files. */
#ifndef CNNSERVE_PICTURES_H
#define CNNSERVE_PICTURES_H

#include "models/models.h"

/*
 * Writes FOLDER/IMAGE.TENSOR.png for each feature and FOLDER/IMAGE.cam.png for the explanation,
 * where IMAGE is the path of the image; in both names '/' and other characters that are trouble in
 * a file name become '_'. Files that are there are written over. False: `message` says what failed.
 */
bool pictures_write(const char *folder, const char *path, const model_result *result, char *message,
                    size_t size);

#endif
