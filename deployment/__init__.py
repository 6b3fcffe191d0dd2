"""What Azure gets: the deployment package, built here so that it can be looked at and tested.

`.funcignore` says what of the project belongs to the app; the tools that deploy (azd, the Core Tools) read
it too. A package is that, as a zip. A prebuilt one also holds what requirements.txt names, in
`.python_packages`, for when the build in Azure cannot be relied on; docs/deploy.md says when that is.

    requirements.txt --(wheels)--> dist/wheels --(unpack)--> .python_packages -+
    project ---------(.funcignore)------------------------------> app's files -+--(zip)--> dist/

azd makes its package of the project's folder by itself: `dependencies` fills `.python_packages` there before.

`advisories` asks whether what requirements.txt names has known vulnerabilities.

For development only: `.funcignore` keeps this package out of what it builds.
"""
