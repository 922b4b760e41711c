# What `cmake --install` puts where, and what `cpack` makes a .deb of: the program, its manual page out of its own help,
# the systemd unit with the file it reads, the documents.
include(GNUInstallDirs)
find_package(Python3 COMPONENTS Interpreter REQUIRED)

set(manual_page ${CMAKE_BINARY_DIR}/slipstream.1.gz)
add_custom_command(
  OUTPUT ${manual_page}
  COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tools/make_man.py $<TARGET_FILE:slipstream> ${manual_page}
  DEPENDS slipstream ${CMAKE_SOURCE_DIR}/tools/make_man.py
  COMMENT "Writing slipstream(1)"
  VERBATIM)
add_custom_target(manual_page ALL DEPENDS ${manual_page})

install(TARGETS slipstream RUNTIME)
install(FILES ${manual_page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES README.md ARCHITECTURE.md packaging/copyright TYPE DOC)

configure_file(packaging/changelog.in changelog @ONLY)
file(ARCHIVE_CREATE OUTPUT ${CMAKE_BINARY_DIR}/changelog.gz PATHS ${CMAKE_BINARY_DIR}/changelog
     FORMAT raw COMPRESSION GZip COMPRESSION_LEVEL 9)
install(FILES ${CMAKE_BINARY_DIR}/changelog.gz TYPE DOC)

# The unit names the places of this installation, which `cmake --install --prefix` decides only now. A file that the
# administrator has changed stays.
set(packaging ${CMAKE_SOURCE_DIR}/packaging)
install(CODE "set(packaging [[${packaging}]])\nset(unit [[${CMAKE_BINARY_DIR}/slipstream.service]])")
install(CODE [[
  set(etc "${CMAKE_INSTALL_PREFIX}/etc")
  if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
    set(etc /etc)
  endif()
  set(PROGRAM "${CMAKE_INSTALL_PREFIX}/bin/slipstream")
  set(DEFAULTS "${etc}/default/slipstream")
  configure_file(${packaging}/slipstream.service.in ${unit} @ONLY)
  file(INSTALL ${unit} DESTINATION "${CMAKE_INSTALL_PREFIX}/lib/systemd/system")
  if(NOT EXISTS "$ENV{DESTDIR}${DEFAULTS}")
    file(INSTALL ${packaging}/slipstream.default DESTINATION "${etc}/default" RENAME slipstream)
  endif()
]])

# cpack --config BUILD/CPackConfig.cmake -B OUT
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME slipstream)
set(CPACK_PACKAGE_VENDOR Slipstream)
set(CPACK_PACKAGE_CONTACT "Slipstream maintainers <maintainers@slipstream.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "server of language models on processors, with OpenAI's HTTP API")
set(CPACK_PACKAGE_DESCRIPTION
"Serves the checkpoints people already have (safetensors, MLX, GGUF) to many
users at once: continuous batching, a paged KV cache that requests share,
streaming. The same request gets the same answer, to the bit.")
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
    ${packaging}/conffiles ${packaging}/postinst ${packaging}/prerm ${packaging}/postrm)
include(CPack)
