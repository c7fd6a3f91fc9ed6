// A photograph from this machine's camera. The film stays in the page; only the photograph taken is sent.

const webcam = (place, taken, failed) => {
  const video = place.querySelector("video");
  let stream = null;
  const close = () => {
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    place.hidden = true;
  };
  const open = async () => {
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1920 } } });
    } catch (error) {
      console.warn(error);
      return failed();
    }
    video.srcObject = stream;
    place.hidden = false;
    await video.play();
  };
  const take = () => {
    const canvas = node("canvas", { width: video.videoWidth, height: video.videoHeight });
    canvas.getContext("2d").drawImage(video, 0, 0);
    close();
    canvas.toBlob((blob) => taken(new File([blob], "camera.jpg", { type: "image/jpeg" })), "image/jpeg", 0.95);
  };
  return { open, take, close };
};
