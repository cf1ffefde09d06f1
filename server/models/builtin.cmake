# embed_models(FOLDER name...): makes builtin.c, the table of source.h with the files of each model
# as read-only data of the program, and adds it to target `server`. The assembler reads the files
# (.incbin), so that megabytes of weights never pass through the C compiler. Names in sorted order.
function(embed_models folder)
  set(files model.onnx model.json labels.txt)
  set(code "/* Made by builtin.cmake. */\n#include \"models/source.h\"\n")
  set(tables "")
  set(rows "")
  set(inputs "")
  foreach(model ${ARGN})
    string(MAKE_C_IDENTIFIER ${model} id)
    string(APPEND tables "\nstatic const builtin_file ${id}_files[] = {\n")
    foreach(file ${files})
      set(path ${folder}/${model}/${file})
      if(NOT EXISTS ${path})
        message(FATAL_ERROR "Built-in model ${model} lacks ${path}")
      endif()
      string(MAKE_C_IDENTIFIER builtin_${model}_${file} symbol)
      string(APPEND code "\n__asm__(\".pushsection .rodata\\n.balign 64\\n${symbol}:\\n"
        ".incbin \\\"${path}\\\"\\n${symbol}_end:\\n.byte 0\\n.popsection\\n\");\n"
        "extern const unsigned char ${symbol}[] __attribute__((visibility(\"hidden\")));\n"
        "extern const unsigned char ${symbol}_end[] __attribute__((visibility(\"hidden\")));\n")
      string(APPEND tables "    {\"${file}\", ${symbol}, ${symbol}_end},\n")
      list(APPEND inputs ${path})
    endforeach()
    string(APPEND tables "    {0},\n};\n")
    string(APPEND rows "    {\"${model}\", ${id}_files},\n")
  endforeach()
  set(source ${CMAKE_CURRENT_BINARY_DIR}/builtin.c)
  file(CONFIGURE OUTPUT ${source} @ONLY CONTENT
    "${code}${tables}\nconst builtin_model builtin_models[] = {\n${rows}    {0},\n};\n")
  set_source_files_properties(${source} TARGET_DIRECTORY server PROPERTIES
    OBJECT_DEPENDS "${inputs}")
  target_sources(server PRIVATE ${source})
endfunction()
