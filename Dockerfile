# imagepipe in an image; docs/clusters.md says how it is built and run.
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
# cpu: PyTorch's build without CUDA. cuda: the package registry's own, some gigabytes larger.
ARG TORCH=cpu
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# Packages more, such as "ray[default] datasets".
ARG MORE=""
# Options of pip's, such as "--no-index --find-links /wheels".
ARG PIP_OPTIONS=""
COPY . /source
RUN python3 -m venv /opt/imagepipe \
    && if [ "$TORCH" = cpu ]; then index="--extra-index-url $TORCH_INDEX"; fi \
    && /opt/imagepipe/bin/pip install --no-cache-dir --no-compile --no-input $index $PIP_OPTIONS \
        -c /source/requirements.lock /source $MORE
# Python keeps compiled what this imports, which nobody may do later, and it shows that it draws.
RUN cd /tmp && /opt/imagepipe/bin/imagepipe limit=2 outputs=/tmp/tried hydra.run.dir=/tmp/tried/run

FROM ${BASE}
COPY --from=build /opt/imagepipe /opt/imagepipe
# The only place to write, beside /tmp. Whoever runs it may: platforms choose the user by themselves.
RUN mkdir /work && chmod 1777 /work
# A user that no list of users has is called so by USER alone.
ENV PATH=/opt/imagepipe/bin:$PATH HOME=/work USER=imagepipe
WORKDIR /work
USER 1000:0
HEALTHCHECK --interval=5m --timeout=1m CMD ["imagepipe", "doctor", "--no-presets"]
ENTRYPOINT ["imagepipe"]
CMD ["--help"]
