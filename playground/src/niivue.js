// What the page asks of NiiVue; in a file of its own, as it is large and not everybody looks at volumes.

import { NVImage, Niivue, SLICE_TYPE } from "@niivue/niivue";

const LAYOUTS = { all: SLICE_TYPE.MULTIPLANAR, axial: SLICE_TYPE.AXIAL, coronal: SLICE_TYPE.CORONAL, sagittal: SLICE_TYPE.SAGITTAL, render: SLICE_TYPE.RENDER };

export class Viewer {
  static async on(canvas) {
    if (!canvas.getContext("webgl2")) throw new Error("this browser has no WebGL 2, which the viewer needs");
    const viewer = new Viewer();
    viewer.niivue = new Niivue({
      backColor: [0, 0, 0, 1], crosshairWidth: 0.4, crosshairColor: [0.85, 0.38, 0.17, 1], show3Dcrosshair: true, isResizeCanvas: true,
      dragAndDropEnabled: false, logLevel: "error", isOrientCube: false, multiplanarShowRender: 1, isNearestInterpolation: true,
    });
    await viewer.niivue.attachToCanvas(canvas);
    return viewer;
  }

  async show(image, label, labels, opacity, layout) {
    const { niivue } = this;
    const volume = await NVImage.loadFromUrl({ url: image, name: "image.nii", colormap: "gray", cal_min: 0, cal_max: 128 });
    const overlay = await NVImage.loadFromUrl({ url: label, name: "label.nii", opacity });
    const parts = [[0, 0, 0], ...labels.map(({ colour }) => colour)];
    overlay.setColormapLabel({
      R: parts.map((c) => c[0]), G: parts.map((c) => c[1]), B: parts.map((c) => c[2]), A: parts.map((_, i) => (i ? 255 : 0)),
      I: parts.map((_, i) => i), labels: ["", ...labels.map(({ name }) => name)],
    });
    for (const old of [...niivue.volumes]) niivue.removeVolume(old);
    niivue.addVolume(volume);
    niivue.addVolume(overlay);
    this.layout(layout);
  }

  opacity(value) {
    if (this.niivue.volumes.length > 1) this.niivue.setOpacity(1, value);
  }

  layout(name) {
    this.niivue.setSliceType(LAYOUTS[name] ?? LAYOUTS.all);
  }
}
