/*
 * How images become the input of a model.
 *
 * The graph fixes layout, channels and usually the size; the files beside it say the rest; what
 * both leave open gets the defaults of the model-folder contract: RGB, shorter side to 256/224 of
 * the input, centre crop to the input, 1/255, ImageNet's mean and std. A model of one channel
 * defaults to grey in [0, 1] instead, since neither RGB nor those means fit it. A network that
 * takes whole numbers normalises by itself and is fed pixels. If only one of mean and std is given,
 * the other one is neutral.
 */
#include "models/preprocessing.h"

#include "common/array.h"
#include "models/internal.h"

#include <math.h>
#include <stdio.h>

/* ---- what the graph says ------------------------------------------------------------------ */

static bool is_image_channels(int64_t extent) {
    return extent == 1 || extent == IMAGE_MAX_CHANNELS;
}

static int extent_of(int64_t extent) {
    return extent < 0 ? -1 : (int)extent;
}

static bool find_element(cnn_dtype dtype, image_element *out) {
    static const struct {
        cnn_dtype dtype;
        image_element element;
    } pairs[] = {
        {CNN_FLOAT32, IMAGE_FLOAT32}, {CNN_FLOAT16, IMAGE_FLOAT16}, {CNN_BFLOAT16, IMAGE_BFLOAT16},
        {CNN_FLOAT64, IMAGE_FLOAT64}, {CNN_UINT8, IMAGE_UINT8},     {CNN_INT8, IMAGE_INT8},
        {CNN_UINT16, IMAGE_UINT16},   {CNN_INT16, IMAGE_INT16},     {CNN_UINT32, IMAGE_UINT32},
        {CNN_INT32, IMAGE_INT32},     {CNN_UINT64, IMAGE_UINT64},   {CNN_INT64, IMAGE_INT64}};
    for (size_t i = 0; i < ARRAY_LENGTH(pairs); i++)
        if (pairs[i].dtype == dtype) {
            *out = pairs[i].element;
            return true;
        }
    return false;
}

/* "1x3x?x?" */
static const char *shape_text(const cnn_shape *shape, char *buffer, size_t size) {
    size_t length = 0;
    buffer[0] = '\0';
    for (int i = 0; i < shape->rank && length < size; i++)
        length += (size_t)(shape->dims[i] < 0
                               ? snprintf(buffer + length, size - length, "%s?", i ? "x" : "")
                               : snprintf(buffer + length, size - length, "%s%lld", i ? "x" : "",
                                          (long long)shape->dims[i]));
    return buffer;
}

#define FED "pictures are fed as NxCxHxW or NxHxWxC"

/* The model takes one tensor with the four axes of a batch of images. */
static model_code check_axes(const cnn_tensor_info *info, model_error *err) {
    char shape[200];
    static const char *const reasons[] = {
        "is one number",
        "is a list of numbers",
        "has two axes, as flattened pictures have; put a Reshape from NxCxHxW in front of it",
        "has no axis for the batch; put a Squeeze of axis 0 in front of it",
    };
    int rank = info->shape.rank;
    if (rank == 4) return MODEL_OK;
    if (rank < 0)
        return model_fail(err, MODEL_UNFIT,
                          "the file does not declare the shape of input '%.100s', so nothing tells "
                          "layout, channels and size; " FED
                          ": declare it when exporting, for example as 1x3x224x224",
                          info->name);
    return model_fail(err, MODEL_UNFIT, "input '%.100s' (%s) %s; " FED, info->name,
                      shape_text(&info->shape, shape, sizeof shape),
                      rank < (int)ARRAY_LENGTH(reasons) ? reasons[rank]
                                                        : "has more axes than pictures have");
}

static model_code refuse_inputs(const cnn_model *cnn, model_error *err) {
    char names[400] = "";
    size_t count = cnn_model_input_count(cnn), length = 0;
    for (size_t i = 0; i < count && length + 120 < sizeof names; i++)
        length += (size_t)snprintf(names + length, sizeof names - length, "%s'%.100s'",
                                   i ? ", " : "", cnn_model_input(cnn, i).name);
    return model_fail(err, MODEL_UNFIT, "the model takes %zu inputs%s%s, an image classifier one",
                      count, count ? ": " : "", names);
}

static model_code check_extents(const cnn_tensor_info *info, model_error *err) {
    const int64_t *dims = info->shape.dims;
    if (dims[0] >= 0 && dims[0] != 1)
        return model_fail(err, MODEL_UNFIT,
                          "input '%.100s' has a fixed batch of %lld; 1 or a symbolic one is needed",
                          info->name, (long long)dims[0]);
    if (dims[1] >= 0 && dims[3] >= 0 && !is_image_channels(dims[1]) && !is_image_channels(dims[3]))
        return model_fail(
            err, MODEL_UNFIT,
            "input '%.100s' has neither 1 nor 3 channels, first (%lld) or last (%lld)", info->name,
            (long long)dims[1], (long long)dims[3]);
    for (int i = 1; i < 4; i++)
        if (dims[i] == 0 || dims[i] > IMAGE_MAX_SIZE)
            return model_fail(err, MODEL_UNFIT, "input '%.100s' has an extent of %lld", info->name,
                              (long long)dims[i]);
    return MODEL_OK;
}

model_code graph_input_read(const cnn_model *cnn, graph_input *out, model_error *err) {
    if (cnn_model_input_count(cnn) != 1) return refuse_inputs(cnn, err);
    cnn_tensor_info info = cnn_model_input(cnn, 0);
    image_element element;
    if (!find_element(info.dtype, &element))
        return model_fail(err, MODEL_UNFIT, "input '%.100s' is %s, pictures are fed as numbers",
                          info.name, cnn_dtype_name(info.dtype));
    model_code code = check_axes(&info, err);
    if (code == MODEL_OK) code = check_extents(&info, err);
    if (code != MODEL_OK) return code;
    const int64_t *dims = info.shape.dims;
    bool first = is_image_channels(dims[1]), last = is_image_channels(dims[3]);
    bool nchw = first || (!last && dims[1] < 0);
    *out = (graph_input){
        .name = info.name,
        .layout = nchw ? IMAGE_NCHW : IMAGE_NHWC,
        .element = element,
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
    spec->element = input->element;
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

/* What is fed where the files say nothing. Whole numbers are pixels; of int8, as quantised networks
 * take them, less 128. */
static image_spec default_values(const image_spec *spec) {
    image_spec fallback = image_spec_default(MODEL_NOMINAL_SIDE, MODEL_NOMINAL_SIDE);
    bool whole = image_element_is_whole(spec->element);
    if (!whole && spec->channels > 1) return fallback;
    if (whole) fallback.scale = 1;
    for (int c = 0; c < IMAGE_MAX_CHANNELS; c++) {
        fallback.mean[c] = spec->element == IMAGE_INT8 ? 128 : 0;
        fallback.std[c] = 1;
    }
    return fallback;
}

static model_code resolve_values(const model_config *config, image_spec *spec, model_error *err) {
    static const float zeros[IMAGE_MAX_CHANNELS] = {0, 0, 0}, ones[IMAGE_MAX_CHANNELS] = {1, 1, 1};
    image_spec fallback = default_values(spec);
    bool ignored = config->makes_floats && image_element_is_whole(spec->element);
    size_t means = ignored ? 0 : config->mean_count, stds = ignored ? 0 : config->std_count;
    bool scaled = config->has_scale && !ignored;
    bool neutral = means > 0 || stds > 0 || (scaled && image_element_is_whole(spec->element));
    spec->scale = scaled ? config->scale : fallback.scale;
    model_code code =
        resolve_channel_values("mean", config->mean, means, neutral ? zeros : fallback.mean,
                               spec->channels, spec->mean, err);
    if (code == MODEL_OK)
        code = resolve_channel_values("std", config->std, stds, neutral ? ones : fallback.std,
                                      spec->channels, spec->std, err);
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

/* ---- doubts ------------------------------------------------------------------------------- */

/* The largest distance of values fed that makes sense, and the least; of whole numbers, the least
 * that tells pictures apart. */
#define MOST_SPREAD  5000.0
#define LEAST_SPREAD 0.05
#define LEAST_LEVELS 16.0
/* Pixels that are scaled into a range this wide are no numbers from 0 to 1. */
#define WIDE_RANGE 20.0

static void doubt_crop(const image_spec *spec, model_warnings *warnings) {
    if (spec->resize == IMAGE_RESIZE_NONE || spec->crop_h == 0 ||
        (spec->crop_h <= spec->size_h && spec->crop_w <= spec->size_w))
        return;
    bool exact = spec->resize == IMAGE_RESIZE_EXACT;
    int need = spec->crop_h > spec->crop_w ? spec->crop_h : spec->crop_w;
    if (exact)
        warnings_add(warnings,
                     "pictures are resized to %dx%d and then cut to %dx%d (height x width), which "
                     "puts them into a black frame; is the size of the resize meant to be %dx%d?",
                     spec->size_h, spec->size_w, spec->crop_h, spec->crop_w, spec->crop_h,
                     spec->crop_w);
    else
        warnings_add(warnings,
                     "the shorter side of pictures is resized to %d and they are then cut to %dx%d "
                     "(height x width), which puts them into a black frame; is the size of the "
                     "resize meant to be at least %d?",
                     spec->size_h, spec->crop_h, spec->crop_w, need);
}

/* Returns true if it warned. */
static bool doubt_units(const image_spec *spec, int c, model_warnings *warnings) {
    double end = 255.0 * (double)spec->scale, mean = (double)spec->mean[c],
           std = (double)spec->std[c];
    double low = end < 0 ? end : 0, high = end < 0 ? 0 : end, slack = 0.01 * fabs(end);
    bool unit_values = fabs(mean) <= 1 && std <= 1 && (mean != 0 || std != 1);
    if (mean < low - slack || mean > high + slack) {
        warnings_add(warnings,
                     "scale %.7g makes of pixels numbers from %.7g to %.7g, and mean %.7g lies "
                     "outside; for mean and std from 0 to 255, scale is 1",
                     (double)spec->scale, low, high, mean);
        return true;
    }
    if (high - low < WIDE_RANGE || !unit_values) return false;
    warnings_add(
        warnings,
        "mean %.7g and std %.7g are of numbers from 0 to 1, but scale %.7g makes of pixels "
        "numbers from %.7g to %.7g; scale would be 1/255",
        mean, std, (double)spec->scale, low, high);
    return true;
}

static bool doubt_spread(const image_spec *spec, int c, model_warnings *warnings) {
    double spread = fabs(255.0 * (double)spec->scale / (double)spec->std[c]);
    bool whole = image_element_is_whole(spec->element);
    if (spread <= MOST_SPREAD && spread >= (whole ? LEAST_LEVELS : LEAST_SPREAD)) return false;
    warnings_add(warnings,
                 "with scale %.7g and std %.7g the values fed lie %.3g apart from black to white%s",
                 (double)spec->scale, (double)spec->std[c], spread,
                 whole ? ", and the model takes whole numbers" : "");
    return true;
}

/* What the element's type cuts off. */
static bool doubt_range(const image_spec *spec, int c, model_warnings *warnings) {
    double black = -(double)spec->mean[c] / (double)spec->std[c];
    double white = (255.0 * (double)spec->scale - (double)spec->mean[c]) / (double)spec->std[c];
    double low = black < white ? black : white, high = black < white ? white : black;
    double least, most, slack = 1 + 0.01 * (high - low);
    image_element_range(spec->element, &least, &most);
    if (low >= least - slack && high <= most + slack) return false;
    warnings_add(warnings,
                 "with scale %.7g, mean %.7g and std %.7g the values fed would reach from %.7g to "
                 "%.7g, and the type of the model's input cuts off what is not from %.7g to %.7g",
                 (double)spec->scale, (double)spec->mean[c], (double)spec->std[c], low, high, least,
                 most);
    return true;
}

void preprocessing_doubt(const image_spec *spec, model_warnings *warnings) {
    doubt_crop(spec, warnings);
    for (int c = 0; c < spec->channels; c++)
        if (doubt_units(spec, c, warnings) || doubt_spread(spec, c, warnings) ||
            doubt_range(spec, c, warnings))
            return;
}
