# The clone engine with the real program, real devices and a bad network: seconds, as root.
foreach(name clone-refusals clone-disks clone-faults pairing)
  add_test(NAME ${name} COMMAND ${CMAKE_CURRENT_LIST_DIR}/${name})
  set_tests_properties(${name} PROPERTIES LABELS "system;fault" SKIP_RETURN_CODE 77 TIMEOUT 300
    ENVIRONMENT "COLDSPARE=$<TARGET_FILE:coldspare>;BUILD_DIR=${CMAKE_BINARY_DIR}")
endforeach()

# And with faults: killed processes, lost connections, failing disks, full file systems, huge ones. The time is for the
# nightly form.
foreach(name clone-resume clone-bad-sectors clone-flush clone-full clone-memory)
  add_test(NAME ${name} COMMAND ${CMAKE_CURRENT_LIST_DIR}/${name})
  set_tests_properties(${name} PROPERTIES LABELS "system;fault" SKIP_RETURN_CODE 77 TIMEOUT 1200
    ENVIRONMENT "COLDSPARE=$<TARGET_FILE:coldspare>;BUILD_DIR=${CMAKE_BINARY_DIR}")
endforeach()

# The time is for the nightly form.
foreach(name clone-reclone clone-generations clone-several clone-nbd)
  add_test(NAME ${name} COMMAND ${CMAKE_CURRENT_LIST_DIR}/${name})
  set_tests_properties(${name} PROPERTIES LABELS "system;fault;reclone" SKIP_RETURN_CODE 77 TIMEOUT 600
    ENVIRONMENT "COLDSPARE=$<TARGET_FILE:coldspare>;BUILD_DIR=${CMAKE_BINARY_DIR}")
endforeach()
