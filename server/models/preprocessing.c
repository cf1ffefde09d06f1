/*
 * How images become the input of a model.
 *
 * The graph fixes layout, channels and usually the size; the files beside it say the rest; what
 * both leave open gets the defaults of the model-folder contract: RGB, shorter side to 256/224 of
 * the input, centre crop to the input, 1/255, ImageNet's mean and std. A model of one channel
 * defaults to grey in [0, 1] instead, since neither RGB nor those means fit it. If only one of mean
 * and std is given, the other one is neutral.
 */
#include "models/preprocessing.h"

#include "models/internal.h"

/* ---- what the graph says ------------------------------------------------------------------ */

static bool is_image_channels(int64_t extent) {
    return extent == 1 || extent == IMAGE_MAX_CHANNELS;
}

static int extent_of(int64_t extent) {
    return extent < 0 ? -1 : (int)extent;
}

model_code graph_input_read(const cnn_model *cnn, graph_input *out, model_error *err) {
    if (cnn_model_input_count(cnn) != 1)
        return model_fail(err, MODEL_UNFIT, "the model takes %zu inputs, an image classifier one",
                          cnn_model_input_count(cnn));
    cnn_tensor_info info = cnn_model_input(cnn, 0);
    const int64_t *dims = info.shape.dims;
    if (info.dtype != CNN_FLOAT32)
        return model_fail(err, MODEL_UNFIT, "input '%.100s' is %s, images are fed as float32",
                          info.name, cnn_dtype_name(info.dtype));
    if (info.shape.rank != 4)
        return model_fail(err, MODEL_UNFIT, "input '%.100s' has %d axes, a batch of images has 4",
                          info.name, info.shape.rank);
    if (dims[0] >= 0 && dims[0] != 1)
        return model_fail(err, MODEL_UNFIT,
                          "input '%.100s' has a fixed batch of %lld; 1 or a symbolic one is needed",
                          info.name, (long long)dims[0]);
    bool first = is_image_channels(dims[1]), last = is_image_channels(dims[3]);
    if (!first && !last && dims[1] >= 0 && dims[3] >= 0)
        return model_fail(
            err, MODEL_UNFIT,
            "input '%.100s' has neither 1 nor 3 channels, first (%lld) or last (%lld)", info.name,
            (long long)dims[1], (long long)dims[3]);
    bool nchw = first || (!last && dims[1] < 0);
    for (int i = 1; i < 4; i++)
        if (dims[i] == 0 || dims[i] > IMAGE_MAX_SIZE)
            return model_fail(err, MODEL_UNFIT, "input '%.100s' has an extent of %lld", info.name,
                              (long long)dims[i]);
    *out = (graph_input){
        .name = info.name,
        .layout = nchw ? IMAGE_NCHW : IMAGE_NHWC,
        .channels = extent_of(nchw ? dims[1] : dims[3]),
        .height = extent_of(nchw ? dims[2] : dims[1]),
        .width = extent_of(nchw ? dims[3] : dims[2]),
    };
    return MODEL_OK;
}

/* ---- what the files say ------------------------------------------------------------------- */

static model_code resolve_color(const model_config *config, const graph_input *input,
                                image_spec *spec, model_error *err) {
    static const char *const names[] = {
        [IMAGE_RGB] = "RGB", [IMAGE_BGR] = "BGR", [IMAGE_GRAY] = "GRAY"};
    bool grey = config->has_color ? config->color == IMAGE_GRAY : input->channels == 1;
    spec->color = config->has_color ? config->color : grey ? IMAGE_GRAY : IMAGE_RGB;
    spec->channels = input->channels > 0 ? input->channels : grey ? 1 : IMAGE_MAX_CHANNELS;
    spec->layout = input->layout;
    if (spec->channels == 1 && !grey)
        return model_fail(err, MODEL_INVALID,
                          "input.color is %s, but the model's input '%.100s' has one channel",
                          names[spec->color], input->name);
    return MODEL_OK;
}

static model_code resolve_channel_values(const char *key, const float *given, size_t count,
                                         const float *fallback, int channels, float *out,
                                         model_error *err) {
    if (count > 1 && count != (size_t)channels)
        return model_fail(err, MODEL_INVALID, "%s has %zu values for %d channel%s", key, count,
                          channels, channels == 1 ? "" : "s");
    for (int c = 0; c < IMAGE_MAX_CHANNELS; c++)
        out[c] = count == 0 ? fallback[c] : given[count == 1 ? 0 : c];
    return MODEL_OK;
}

static model_code resolve_values(const model_config *config, image_spec *spec, model_error *err) {
    static const float zeros[IMAGE_MAX_CHANNELS] = {0, 0, 0}, ones[IMAGE_MAX_CHANNELS] = {1, 1, 1};
    image_spec imagenet = image_spec_default(MODEL_NOMINAL_SIDE, MODEL_NOMINAL_SIDE);
    bool neutral = spec->channels == 1 || config->mean_count > 0 || config->std_count > 0;
    spec->scale = config->has_scale ? config->scale : imagenet.scale;
    model_code code =
        resolve_channel_values("mean", config->mean, config->mean_count,
                               neutral ? zeros : imagenet.mean, spec->channels, spec->mean, err);
    if (code == MODEL_OK)
        code =
            resolve_channel_values("std", config->std, config->std_count,
                                   neutral ? ones : imagenet.std, spec->channels, spec->std, err);
    return code;
}

/* The size that the spec aims at: the crop, else the graph's, else none (0x0). */
static config_size target_size(const model_config *config, const graph_input *input) {
    if (config->crop.height > 0) return config->crop;
    if (input->height > 0 && input->width > 0) return (config_size){input->height, input->width};
    return (config_size){0, 0};
}

static model_code resolve_resize(const model_config *config, config_size target, image_spec *spec,
                                 model_error *err) {
    config_size size = config->size;
    bool given = size.height > 0;
    spec->resize = config->has_resize ? config->resize : IMAGE_RESIZE_SHORTEST;
    spec->filter = config->has_filter ? config->filter : IMAGE_BILINEAR;
    if (spec->resize == IMAGE_RESIZE_NONE && given)
        return model_fail(err, MODEL_INVALID,
                          "input.resize.size is given, but input.resize.mode is none");
    if (spec->resize == IMAGE_RESIZE_EXACT && !given) {
        if (target.height == 0)
            return model_fail(err, MODEL_INVALID,
                              "input.resize.mode is exact, but neither input.resize.size nor the "
                              "graph gives a size");
        size = target;
    } else if (spec->resize == IMAGE_RESIZE_SHORTEST && !given) {
        image_spec like = image_spec_default(target.height > 0 ? target.height : MODEL_NOMINAL_SIDE,
                                             target.width > 0 ? target.width : MODEL_NOMINAL_SIDE);
        size = (config_size){like.size_h, like.size_w};
    }
    spec->size_h = size.height;
    spec->size_w = size.width;
    return MODEL_OK;
}

/* Where nothing at all is said about sizes, the crop is that of the default spec. */
static void resolve_crop(const model_config *config, config_size target, image_spec *spec) {
    bool silent = !config->has_resize && config->size.height == 0 && target.height == 0;
    if (silent) target = (config_size){MODEL_NOMINAL_SIDE, MODEL_NOMINAL_SIDE};
    bool as_it_is =
        config->crop.height == 0 && (config->has_crop || spec->resize == IMAGE_RESIZE_NONE);
    spec->crop_h = as_it_is ? 0 : target.height;
    spec->crop_w = as_it_is ? 0 : target.width;
}

/* ---- both --------------------------------------------------------------------------------- */

/* Sets the size of the tensor if no image is needed to know it. */
static bool known_size(const image_spec *spec, const graph_input *input, int *height, int *width) {
    if (input->height > 0 && input->width > 0) {
        *height = input->height;
        *width = input->width;
    } else if (spec->crop_h > 0) {
        *height = spec->crop_h;
        *width = spec->crop_w;
    } else if (spec->resize == IMAGE_RESIZE_EXACT) {
        *height = spec->size_h;
        *width = spec->size_w;
    } else {
        return false;
    }
    return true;
}

/* The spec's own size must be what the graph takes, as far as both are known. */
static model_code check_agreement(const image_spec *spec, const graph_input *input,
                                  model_error *err) {
    int height = 0, width = 0;
    const graph_input open = {.height = -1, .width = -1};
    if (!known_size(spec, &open, &height, &width)) return MODEL_OK;
    if ((input->height < 0 || input->height == height) &&
        (input->width < 0 || input->width == width))
        return MODEL_OK;
    return model_fail(err, MODEL_INVALID,
                      "preprocessing makes images of %dx%d (height x width), but the model's input "
                      "'%.100s' is %dx%d",
                      height, width, input->name, input->height, input->width);
}

model_code preprocessing_resolve(const model_config *config, const graph_input *input,
                                 image_spec *out, bool *fixed, int *nominal_h, int *nominal_w,
                                 model_error *err) {
    image_spec spec = {.rounding = config->rounding};
    image_error wrong = {0};
    config_size target = target_size(config, input);
    model_code code = resolve_color(config, input, &spec, err);
    if (code == MODEL_OK) code = resolve_values(config, &spec, err);
    if (code == MODEL_OK) code = resolve_resize(config, target, &spec, err);
    if (code != MODEL_OK) return code;
    resolve_crop(config, target, &spec);
    if (image_spec_check(&spec, &wrong) != IMAGE_OK)
        return model_fail(err, MODEL_INVALID, "input: %s", wrong.message);
    code = check_agreement(&spec, input, err);
    if (code != MODEL_OK) return code;
    *fixed = known_size(&spec, input, nominal_h, nominal_w);
    if (!*fixed) {
        int side = spec.resize == IMAGE_RESIZE_SHORTEST ? spec.size_h : MODEL_NOMINAL_SIDE;
        *nominal_h = input->height > 0 ? input->height : side;
        *nominal_w = input->width > 0 ? input->width : side;
    }
    *out = spec;
    return MODEL_OK;
}
