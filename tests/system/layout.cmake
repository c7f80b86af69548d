# Copies partition by partition: 200 generated tables, and real file systems. `ctest -L layout` runs them.
foreach(name layout-tables layout-grow)
  add_test(NAME ${name} COMMAND ${CMAKE_CURRENT_LIST_DIR}/${name})
  set_tests_properties(${name} PROPERTIES LABELS "system;layout" SKIP_RETURN_CODE 77 TIMEOUT 1800
    ENVIRONMENT "COLDSPARE=$<TARGET_FILE:coldspare>;BUILD_DIR=${CMAKE_BINARY_DIR}")
endforeach()
