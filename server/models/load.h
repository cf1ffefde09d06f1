/* load.h: from the files of one model version to a served model. */
#ifndef CNNSERVE_LOAD_H
#define CNNSERVE_LOAD_H

#include "models/source.h"

/* `precision` overrides that of model.json; NULL: as there. *out holds one reference. */
model_code served_model_load(cnn_runtime *rt, const model_source *source, const char *precision,
                             served_model **out, model_error *err);

#endif
