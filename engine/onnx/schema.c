/* The parser tables that protoc-c makes of onnx.proto at build time. */
#include <onnx.pb-c.c>
