# Flags of every target of ours, and the one way a folder becomes a library.
add_library(coldspare_options INTERFACE)
target_include_directories(coldspare_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(coldspare_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast
  -Wnon-virtual-dtor -Woverloaded-virtual -Wimplicit-fallthrough -Wformat=2 -Wundef
  # Designated initializers leave members at their defaults on purpose.
  -Wno-missing-field-initializers
  $<$<BOOL:${COLDSPARE_WERROR}>:-Werror>
  -D_FILE_OFFSET_BITS=64 -D_GNU_SOURCE)

if(COLDSPARE_SANITIZE STREQUAL "ON" OR COLDSPARE_SANITIZE STREQUAL "address")
  target_compile_options(coldspare_options INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all)
  target_link_options(coldspare_options INTERFACE -fsanitize=address,undefined)
elseif(COLDSPARE_SANITIZE STREQUAL "thread")
  target_compile_options(coldspare_options INTERFACE -fsanitize=thread)
  target_link_options(coldspare_options INTERFACE -fsanitize=thread)
else()
  target_compile_options(coldspare_options INTERFACE -fstack-protector-strong)
  target_compile_definitions(coldspare_options INTERFACE $<$<CONFIG:Release,RelWithDebInfo>:_FORTIFY_SOURCE=2>)
endif()

# For code that is built much and run little. Under the sanitizers a command or a test takes up to half a minute to
# optimise (json, CLI11, doctest: each expression is instrumented), and half of that without.
function(coldspare_compile_quickly target)
  if(COLDSPARE_SANITIZE)
    target_compile_options(${target} PRIVATE -O0)
  endif()
endfunction()

# coldspare_library(NAME LINK ...): all .cpp of the folder NAME but main.cpp, without its sub-folders.
function(coldspare_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LINK")
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${name}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "/main\\.cpp$")
  add_library(coldspare_${name} STATIC ${sources})
  target_link_libraries(coldspare_${name} ${arg_LINK})
  target_link_libraries(coldspare_${name} PRIVATE coldspare_options)
endfunction()
